// Keeps a page of the projections up to date: asks for the same page again, and takes over its marked regions. They are
// changed in place, not replaced, so that focus, scrolling, what is opened and what is typed stay as they are.

const EVERY_MILLISECONDS = 2000;
const PATIENCE_MILLISECONDS = 10000;
const REGIONS = "[data-board-region]";

const bar = document.querySelector("[data-board-bar]");
const status = bar.querySelector("[role=status]");
const button = bar.querySelector("button");

let state = "live"; // or "paused", by the user, or "ended", for good
let timer = null;
let request = null;
let refreshedAt = new Date();

async function refresh() {
  clearTimeout(timer);
  request?.abort();
  if (state !== "live" || document.hidden) return; // comes again when the page is looked at
  if (isInUse()) show("waiting", "Refreshing waits: a form is in use");
  else await ask((request = new AbortController()));
  if (state === "live") timer = setTimeout(refresh, EVERY_MILLISECONDS);
}

async function ask(mine) {
  const patience = setTimeout(() => mine.abort(), PATIENCE_MILLISECONDS);
  try {
    const answer = await fetch(location.href, {
      headers: { "X-Board-Refresh": "1" },
      cache: "no-store",
      signal: mine.signal,
    });
    if (answer.redirected) return end(new URL(answer.url));
    if (answer.status === 403 || answer.status === 404) return end();
    if (!answer.ok) throw new Error(answer.statusText);
    const text = await answer.text();
    if (state === "live" && request === mine && !isInUse()) take(text);
  } catch {
    if (state !== "live" || request !== mine) return; // paused meanwhile, or asked again
    show("failing", `Not refreshed since ${refreshedAt.toTimeString().slice(0, 8)}`);
  } finally {
    clearTimeout(patience);
  }
}

function take(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const region of document.querySelectorAll(REGIONS)) {
    const fresh = page.querySelector(`[data-board-region="${region.dataset.boardRegion}"]`);
    if (fresh) morph(region, fresh);
  }
  refreshedAt = new Date();
  show("live", `Refreshed every ${EVERY_MILLISECONDS / 1000} s`);
}

// Somebody who fills in a form must not have it change under their hands.
function isInUse() {
  const field = document.activeElement?.closest("input, textarea, select");
  return Boolean(document.querySelector(":popover-open") || field?.closest(REGIONS));
}

function end(address) {
  state = "ended";
  const isLogin = address?.pathname === bar.dataset.boardLogin;
  show("ended", isLogin ? "Your session has ended: log in again" : "This page is not there for you any more");
  button.hidden = true;
}

function show(name, text) {
  bar.dataset.boardBar = name;
  if (status.textContent !== text) status.textContent = text; // else screen readers would say it again
}

// Make `old` what `fresh` is. Children with an id are kept wherever they move to, others by their place.
function morph(old, fresh) {
  for (const { name } of [...old.attributes]) {
    const isOpened = name === "open" && old.localName === "details"; // by the user
    if (!fresh.hasAttribute(name) && !isOpened) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    const isOpened = name === "open" && old.localName === "details";
    if (old.getAttribute(name) !== value && !isOpened) old.setAttribute(name, value);
  }
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const kept = counterpart(old, place, child);
    if (!kept) {
      old.insertBefore(child, place);
    } else {
      if (kept === place) place = place.nextSibling;
      else old.insertBefore(kept, place);
      if (kept.nodeType === Node.ELEMENT_NODE) morph(kept, child);
      else if (kept.data !== child.data) kept.data = child.data;
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function counterpart(old, place, child) {
  if (child.id) return [...old.children].find((each) => each.id === child.id && each.localName === child.localName);
  return place && !place.id && place.nodeName === child.nodeName ? place : null;
}

button.addEventListener("click", () => {
  state = state === "paused" ? "live" : "paused";
  button.textContent = state === "paused" ? "Resume refreshing" : "Pause refreshing";
  if (state === "paused") show("paused", "Refreshing is paused");
  refresh();
});
document.addEventListener("visibilitychange", refresh);
// What is on its way would come too late, and the answer to the form is a page of its own.
document.addEventListener("submit", () => {
  clearTimeout(timer);
  request?.abort();
});
addEventListener("pageshow", (event) => event.persisted && refresh());

show("live", `Refreshed every ${EVERY_MILLISECONDS / 1000} s`);
timer = setTimeout(refresh, EVERY_MILLISECONDS);
