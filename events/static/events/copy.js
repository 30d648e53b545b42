// Buttons that copy an event's id or JSON. Without this script, or without a clipboard (plain HTTP), they stay hidden.

async function jsonAt(place) {
  const [url, id] = place.includes("#") ? place.split("#") : ["", place];
  if (!url) return textOf(document.getElementById(id));
  const response = await fetch(url);
  if (!response.ok || response.redirected) throw new Error("The page of the event cannot be opened.");
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return textOf(page.getElementById(id));
}

function textOf(element) {
  if (element.querySelector("[data-cut]")) throw new Error("The page has only the beginning of large JSON.");
  return element.textContent;
}

// The text may still be on its way: browsers allow a copy only as the direct result of a click.
function copy(text) {
  const blob = text.then((each) => new Blob([each], { type: "text/plain" }));
  return navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
}

const status = Object.assign(document.createElement("p"), { className: "event-unseen" });
status.setAttribute("role", "status");
document.body.append(status);

async function press(button) {
  const { copy: text, copyFrom: place, label = button.textContent } = button.dataset;
  button.dataset.label = label;
  const done = await copy(place ? jsonAt(place) : Promise.resolve(text)).then(
    () => "Copied",
    () => "Not copied",
  );
  button.textContent = status.textContent = done;
  setTimeout(() => {
    button.textContent = label;
    status.textContent = "";
  }, 1500);
}

if (navigator.clipboard && window.ClipboardItem) {
  for (const button of document.querySelectorAll("[data-copy], [data-copy-from]")) {
    button.hidden = false;
    button.addEventListener("click", () => press(button));
  }
}
