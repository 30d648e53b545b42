// A history: find text on the page, fold the data, and choose a version with a slider. Without this script, the number
// field chooses the version.

const asOf = document.querySelector(".event-as-of");
const slider = asOf.querySelector("[type=range]");
const number = asOf.querySelector("[type=number]");

slider.hidden = Number(slider.max) < 2;
slider.addEventListener("input", () => (number.value = slider.value));
slider.addEventListener("change", () => asOf.requestSubmit());
number.addEventListener("input", () => (slider.value = number.value));

const find = document.querySelector(".event-find");
const entries = [...document.querySelectorAll(".event-timeline > .event-entry")];
const status = find.querySelector("[role=status]");
const marks = window.Highlight && new Highlight();
if (marks) CSS.highlights.set("event-found", marks);

function* textsIn(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) yield walker.currentNode;
}

function show() {
  const searched = find.querySelector("input").value.trim().toLowerCase();
  marks?.clear();
  let shown = 0;
  for (const entry of entries) {
    const body = entry.querySelector(".event-body");
    const matches = !searched || body.textContent.toLowerCase().includes(searched);
    entry.hidden = !matches;
    shown += matches;
    if (searched && matches) mark(body, searched);
  }
  for (const day of document.querySelectorAll(".event-day")) {
    let next = day.nextElementSibling;
    while (next?.matches(".event-entry[hidden]")) next = next.nextElementSibling;
    day.hidden = !next?.matches(".event-entry");
  }
  status.textContent = searched ? `${shown} of ${entries.length}` : "";
}

function mark(body, searched) {
  for (const text of textsIn(body)) {
    const lower = text.data.toLowerCase();
    for (let at = lower.indexOf(searched); at >= 0; at = lower.indexOf(searched, at + searched.length)) {
      const range = new Range();
      range.setStart(text, at);
      range.setEnd(text, Math.min(at + searched.length, text.length));
      marks?.add(range);
      for (let fold = text.parentElement.closest("details"); fold; fold = fold.parentElement.closest("details")) {
        fold.open = true;
      }
    }
  }
}

const fold = find.querySelector("[data-fold]");
fold.addEventListener("click", () => {
  const open = fold.getAttribute("aria-pressed") === "true";
  for (const details of document.querySelectorAll(".event-data details")) details.open = open;
  fold.setAttribute("aria-pressed", String(!open));
});

find.hidden = entries.length === 0;
find.querySelector("input").addEventListener("input", show);
