// The live page: the event stream, newest events on top. Content of events is only inserted as text.

const MAX_ROWS = 200;
const RETRY_MILLISECONDS = 5000;
const STATUS = {
  connecting: "Connecting",
  "catching-up": "Catching up",
  live: "Live",
  reconnecting: "Reconnecting",
  paused: "Paused",
  ended: "Ended",
};
// Statuses that a retry does not change.
const FINAL = [400, 401, 403, 404, 501];

const root = document.getElementById("live");
const status = root.querySelector("[role=status]");
const position = document.getElementById("live-position");
const rows = root.querySelector("tbody");
const button = document.getElementById("live-switch");

const address = new URL(root.dataset.stream, location.href);
let source = null;
let retry = null;
let waiting = []; // messages that the next frame shows

function connect() {
  show("connecting");
  const opened = (source = new EventSource(address));
  source.onopen = () => show("catching-up");
  source.onmessage = take;
  source.onerror = () => {
    show("reconnecting");
    if (opened.readyState === EventSource.CLOSED) ask(opened);
  };
  source.addEventListener("caught-up", (message) => {
    remember(message);
    show("live");
  });
  source.addEventListener("checkpoint", remember);
  source.addEventListener("revoked", (message) => stop("ended", JSON.parse(message.data).detail));
}

function stop(state, reason = "") {
  clearTimeout(retry);
  source?.close();
  source = null;
  show(state, reason);
}

function show(state, reason = "") {
  const text = reason ? `${STATUS[state]}: ${reason}` : STATUS[state];
  button.textContent = state === "paused" || state === "ended" ? "Resume" : "Pause";
  if (status.textContent === text) return; // or screen readers would read it again
  status.dataset.state = state;
  status.textContent = text;
}

// An EventSource reconnects after a broken connection, but gives up if the response is no stream, and does not expose the
// response.
async function ask(opened) {
  const request = new AbortController();
  let rejection = "";
  try {
    const answer = await fetch(address, { signal: request.signal });
    if (FINAL.includes(answer.status)) rejection = (await answer.json()).detail ?? answer.statusText;
  } catch {
    // No connection, or no JSON: the next attempt may succeed.
  }
  request.abort();
  if (source !== opened) return; // paused in the meantime
  if (rejection) stop("ended", rejection);
  else retry = setTimeout(connect, RETRY_MILLISECONDS);
}

function remember(message) {
  position.textContent = message.lastEventId;
  address.searchParams.set("after", message.lastEventId); // where to resume after a pause
}

function take(message) {
  remember(message);
  waiting.push(message);
  if (waiting.length > MAX_ROWS) waiting.shift();
  else if (waiting.length === 1) requestAnimationFrame(draw);
}

function draw() {
  rows.prepend(...waiting.reverse().map(row));
  waiting = [];
  while (rows.rows.length > MAX_ROWS) rows.lastElementChild.remove();
}

function row(message) {
  const event = JSON.parse(message.data, keepNumber);
  const found = document.createElement("tr");
  found.append(
    element("td", "live-number", message.lastEventId),
    element("td", "live-type", event.type),
    cell("live-aggregate", link(event.aggregate_id)),
    cell("live-time", moment(event.timestamp)),
    cell("live-data", data(event.data)),
  );
  return found;
}

function link(id) {
  if (!root.dataset.aggregates) return id;
  // The admin quotes keys like this: django.contrib.admin.utils.quote
  const quoted = id.replace(/[":/_#?;@&=+$,[\]<>%\n\\]/g, (character) => {
    return "_" + character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
  });
  const found = element("a", "", id);
  found.href = `${root.dataset.aggregates}${encodeURIComponent(quoted)}/change/`;
  return found;
}

function moment(timestamp) {
  const found = element("time", "event-moment", `${timestamp.slice(0, 19).replace("T", " ")} UTC`);
  found.dateTime = found.title = timestamp;
  return found;
}

function data(value) {
  const line = JSON.stringify(value);
  if (line === "{}") return "–";
  const found = document.createElement("details");
  // Data may be large: the summary shows its beginning, and opening it shows the rest.
  found.append(element("summary", "", line.slice(0, 200)));
  const open = () => found.append(element("pre", "event-json", JSON.stringify(value, null, 2)));
  found.addEventListener("toggle", open, { once: true });
  return found;
}

// JavaScript would show 12345678901234567890 and 1.0 as other numbers than those stored.
function keepNumber(key, value, context) {
  return typeof value === "number" && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
}

function cell(className, content) {
  const found = element("td", className, "");
  found.append(content);
  return found;
}

function element(tag, className, text) {
  const found = document.createElement(tag);
  found.className = className;
  found.textContent = text;
  return found;
}

document.getElementById("live-plain").hidden = true;
root.hidden = false;
button.addEventListener("click", () => (source ? stop("paused") : connect()));
connect();
