// The append form: suggests aggregates while an id is typed, says which version the event will follow, and tells of
// faults in the JSON before it is sent. Without it the form works all the same; the server checks everything again.

const form = document.getElementById("append");
const aggregate = form.elements.aggregate_id;
const version = form.elements.expected_version;
const follows = document.getElementById("follows");
const ids = document.getElementById("aggregate-ids");

let asked = 0;

async function suggest() {
  const mine = ++asked;
  const typed = aggregate.value;
  const response = await fetch(`${form.dataset.suggestions}?${new URLSearchParams({ aggregate_id: typed })}`);
  // An answer to what is no longer there, or none: the version stays what it was, and the server would ask.
  if (!response.ok || response.redirected || mine !== asked) return;
  const found = await response.json();
  if (mine !== asked) return;
  ids.replaceChildren(...found.aggregates.map((id) => Object.assign(document.createElement("option"), { value: id })));
  version.value = found.version;
  follows.textContent = found.version
    ? `It will follow version ${found.version}; if somebody appends before you, you will be asked.`
    : "It will be the first event of a new aggregate; if there is one by this id, you will be asked.";
}

let timer;
aggregate.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => suggest().catch(() => {}), 150);
});

// Only the server knows all that is allowed. What it would reject for its form is told at once, with the place.
function fault(text) {
  if (!text.trim()) return "";
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `Not JSON yet: ${error.message}`;
  }
  return value && typeof value === "object" && !Array.isArray(value) ? "" : "It must be a JSON object: { … }";
}

function check(field) {
  const said = document.getElementById(`${field.id}_fault`);
  said.textContent = fault(field.value);
  field.setAttribute("aria-invalid", String(Boolean(said.textContent)));
  return !said.textContent;
}

// Going back to a form that was sent gets a new one from the server, with an id of its own. It takes the sent one's again:
// sent twice, it stores once.
const kept = ["aggregate_id", "type", "event_id", "expected_version"];
if (history.state?.sent) {
  for (const name of kept) form.elements[name].value = history.state.sent[name];
  document.getElementById("sent-before").hidden = false;
  follows.hidden = true;
}

const jsonFields = [form.elements.data, form.elements.metadata];
for (const field of jsonFields) {
  const bar = document.createElement("div");
  bar.className = "event-json-bar";
  const said = Object.assign(document.createElement("p"), { id: `${field.id}_fault`, className: "event-fault" });
  said.setAttribute("role", "status");
  const tidy = Object.assign(document.createElement("button"), { type: "button", className: "button" });
  tidy.textContent = "Tidy up";
  tidy.setAttribute("aria-label", `Tidy up the ${field.name}`);
  tidy.addEventListener("click", () => {
    // Numbers that JavaScript would change are left alone, and so is all that holds them.
    if (check(field) && field.value.trim() && !/\d{16}|\d[eE.]\d*0\b|-0\b/.test(field.value)) {
      field.value = JSON.stringify(JSON.parse(field.value), null, 2);
    }
  });
  bar.append(said, tidy);
  field.closest(".form-row > *").after(bar);
  field.setAttribute("aria-describedby", `${field.id}_helptext ${field.id}_fault`);
  field.addEventListener("input", () => check(field));
}

form.addEventListener("submit", (event) => {
  const faulty = jsonFields.filter((field) => !check(field));
  if (faulty.length) {
    event.preventDefault();
    faulty[0].focus();
    return;
  }
  history.replaceState({ sent: Object.fromEntries(kept.map((name) => [name, form.elements[name].value])) }, "");
});
