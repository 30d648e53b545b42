// The append form: suggests aggregate ids, shows the version that the event will follow, shows the fields of the type that
// was chosen, and shows errors in the JSON before it is sent. The form also works without this script; the server checks
// everything again.

const form = document.getElementById("append");
const aggregate = form.elements.aggregate_id;
const version = form.elements.expected_version;
const follows = document.getElementById("follows");
const ids = document.getElementById("aggregate-ids");

let lastRequest = 0;

async function suggest() {
  const thisRequest = ++lastRequest;
  const typed = aggregate.value;
  const response = await fetch(`${form.dataset.suggestions}?${new URLSearchParams({ aggregate_id: typed })}`);
  // After an error, or if the text has changed, the version stays, and the server would report a conflict.
  if (!response.ok || response.redirected || thisRequest !== lastRequest) return;
  const found = await response.json();
  if (thisRequest !== lastRequest) return;
  ids.replaceChildren(...found.aggregates.map((id) => Object.assign(document.createElement("option"), { value: id })));
  version.value = found.version;
  follows.textContent = found.follows;
}

let timer;
aggregate.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => suggest().catch(() => {}), 150);
});

// Shows invalid JSON at once, with its place; only the server can check the rest.
function fault(text) {
  if (!text.trim()) return "";
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `Not valid JSON yet: ${error.message}`;
  }
  return value && typeof value === "object" && !Array.isArray(value) ? "" : "It must be a JSON object: { … }";
}

function check(field) {
  const message = document.getElementById(`${field.id}_fault`);
  message.textContent = fault(field.value);
  field.setAttribute("aria-invalid", String(Boolean(message.textContent)));
  return !message.textContent;
}

// A user who goes back to a sent form gets a new form with a new event id. The new form takes the id of the sent form, so
// that sending it again does not store a second event.
const kept = ["aggregate_id", "type", "event_id", "expected_version"];
if (history.state?.sent) {
  for (const name of kept) form.elements[name].value = history.state.sent[name];
  document.getElementById("sent-before").hidden = false;
  follows.hidden = true;
}

function equip(field) {
  const bar = document.createElement("div");
  bar.className = "event-json-bar";
  const message = Object.assign(document.createElement("p"), { id: `${field.id}_fault`, className: "event-fault" });
  message.setAttribute("role", "status");
  const tidy = Object.assign(document.createElement("button"), { type: "button", className: "event-quiet" });
  tidy.textContent = "Tidy up";
  tidy.setAttribute("aria-label", `Tidy up the ${field.name}`);
  tidy.addEventListener("click", () => {
    // JSON with numbers that JavaScript would change stays unchanged.
    if (check(field) && field.value.trim() && !/\d{16}|\d[eE.]\d*0\b|-0\b/.test(field.value)) {
      field.value = JSON.stringify(JSON.parse(field.value), null, 2);
    }
  });
  bar.append(message, tidy);
  const box = Object.assign(document.createElement("div"), { className: "event-json-field" });
  field.replaceWith(box);
  box.append(field, bar);
  const described = [field.getAttribute("aria-describedby"), message.id];
  field.setAttribute("aria-describedby", described.filter(Boolean).join(" "));
  field.addEventListener("input", () => {
    check(field);
    const instead = field.closest("details")?.querySelector("[name=use_json]");
    if (instead) instead.checked = true;
  });
}

equip(form.elements.data);
equip(form.elements.metadata);

// The fields of the type that was entered take the place of the JSON, or the JSON theirs.
const data = document.getElementById("event-data");
const asking = document.getElementById("show-fields");
let shownType = form.elements.fields_of?.value ?? "";

async function showFields() {
  const type = form.elements.type.value;
  if (type === shownType) return;
  const json = form.elements.data.value;
  const body = new FormData(form, asking.querySelector("button"));
  const response = await fetch(location.href, { method: "POST", body });
  if (!response.ok || response.redirected) throw new Error(response.statusText);
  if (type !== form.elements.type.value || json !== form.elements.data.value) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const found = page.getElementById("event-data");
  const hasFields = (part) => Boolean(part.querySelector("[name=fields_of]"));
  shownType = type;
  asking.hidden = true;
  if (!hasFields(found) && !hasFields(data)) return;
  const hadFocus = data.contains(document.activeElement);
  data.replaceChildren(...found.childNodes);
  equip(form.elements.data);
  if (hadFocus) data.querySelector(":is(input, select, textarea):not([type=hidden])").focus();
}

if (asking) {
  // The button appears only when it is needed: it would move the page under a click that leaves the field.
  const show = () =>
    showFields().catch(() => {
      asking.hidden = false;
    });
  asking.hidden = !form.elements.type.value || Boolean(shownType);
  form.elements.type.addEventListener("change", show);
  if (history.state?.sent) show();
}

form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "show_fields") return;
  const fields = [form.elements.metadata];
  if (!form.elements.fields_of || form.elements.use_json.checked) fields.unshift(form.elements.data);
  const faulty = fields.filter((field) => !check(field));
  if (faulty.length) {
    event.preventDefault();
    const details = faulty[0].closest("details");
    if (details) details.open = true;
    faulty[0].focus();
    return;
  }
  history.replaceState({ sent: Object.fromEntries(kept.map((name) => [name, form.elements[name].value])) }, "");
});
