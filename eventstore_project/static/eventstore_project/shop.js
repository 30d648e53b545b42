// The shop page: forms are sent without a reload, and events appear as they are stored. Without this script, the forms work
// all the same, and the page shows the events stored so far. Content of events is only inserted as text.

const MAX_ITEMS = 60;
const RETRY_MILLISECONDS = 5000;
const REFRESH_MILLISECONDS = 700; // a worker has handled an event by then
const DATA_CHARACTERS = 160;

const live = document.getElementById("live");
const list = document.getElementById("events");
const notes = document.getElementById("notes");
const address = new URL(live.dataset.stream, location.href);
let source = null;
let refreshing = null;

function connect() {
  const opened = (source = new EventSource(address));
  show("connecting");
  source.onmessage = (message) => {
    address.searchParams.set("after", message.lastEventId);
    add(JSON.parse(message.data));
    clearTimeout(refreshing);
    refreshing = setTimeout(refresh, REFRESH_MILLISECONDS);
  };
  source.addEventListener("caught-up", () => show("live"));
  source.onerror = () => {
    show("reconnecting");
    // It gives up when the response is no stream; then the server has no room for it, or is starting.
    if (opened.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MILLISECONDS);
  };
}

function show(state) {
  live.hidden = false;
  live.dataset.state = live.textContent = state;
}

function add(event) {
  const item = element("li", "new");
  item.dataset.type = event.type;
  const head = element("p");
  head.append(element("strong", "", event.type), " ", history(event.aggregate_id));
  const when = element("p", "when");
  const time = element("time", "", `${event.timestamp.slice(11, 19)} UTC`);
  time.dateTime = event.timestamp;
  when.append(element("span", "", `position ${event.position}, version ${event.version}`), " ", time);
  const data = JSON.stringify(event.data, null, 1).replace(/\n */g, " "); // as the server writes it
  item.append(head, when, element("code", "", data.length > DATA_CHARACTERS ? `${data.slice(0, DATA_CHARACTERS)}…` : data));
  list.prepend(item);
  while (list.children.length > MAX_ITEMS) list.lastElementChild.remove();
}

function history(id) {
  if (/[^A-Za-z0-9-]/.test(id)) return element("span", "", id); // the admin would quote it in the address
  const link = element("a", "", id);
  link.href = live.dataset.history.replace("ID", id);
  return link;
}

function element(tag, className = "", text = "") {
  const found = document.createElement(tag);
  if (className) found.className = className;
  found.textContent = text;
  return found;
}

async function refresh() {
  const response = await fetch(location.pathname).catch(() => null);
  if (response?.ok) take(await response.text(), ["sales"]);
}

function take(html, ids) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const id of ids) document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
}

async function send(submitted) {
  submitted.preventDefault();
  const form = submitted.target;
  if (form.dataset.isSent) return; // a double click
  form.dataset.isSent = "yes";
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form, submitted.submitter) });
    if (!response.ok) throw new Error(`The server responded with ${response.status}. Reload the page.`);
    take(await response.text(), ["orders", "notes"]);
  } catch (error) {
    notes.replaceChildren(element("p", "note error", error.message));
  }
  delete form.dataset.isSent;
  notes.focus({ preventScroll: true }); // the button may be gone
  notes.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", send);
connect();
