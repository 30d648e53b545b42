// Keeps a page up to date: requests it again, and updates its marked regions. They are changed in place, not replaced, so
// that focus, scroll position, open details and typed text stay. It stops while the page is hidden.

const TIMEOUT_MILLISECONDS = 10000;
const REGIONS = "[data-refresh-region]";

const bar = document.querySelector("[data-refresh-bar]");
const status = bar.querySelector("[role=status]");
const button = bar.querySelector("button");
const seconds = Number(bar.dataset.refreshSeconds);

let state = "live"; // or "paused" by the user, or "ended"
let timer = null;
let request = null;

async function refresh() {
  clearTimeout(timer);
  request?.abort();
  if (state !== "live" || document.hidden) return; // visibilitychange calls it again
  if (isInUse()) show("waiting", "Not refreshed while a form is in use");
  else await ask((request = new AbortController()));
  if (state === "live") timer = setTimeout(refresh, seconds * 1000);
}

async function ask(mine) {
  const timeout = setTimeout(() => mine.abort(), TIMEOUT_MILLISECONDS);
  try {
    const answer = await fetch(location.href, {
      headers: { "X-Event-Refresh": "1" },
      cache: "no-store",
      signal: mine.signal,
    });
    if (answer.redirected) return end(new URL(answer.url));
    if (answer.status === 403 || answer.status === 404) return end();
    if (!answer.ok) return fail(mine, `the server answered ${answer.status}`);
    const text = await answer.text();
    if (state === "live" && request === mine && !isInUse()) take(text);
  } catch {
    fail(mine, "the server does not answer");
  } finally {
    clearTimeout(timeout);
  }
}

function fail(mine, reason) {
  if (state !== "live" || request !== mine) return; // paused, or a newer request runs
  show("failing", `Not refreshed: ${reason}`);
}

function take(text) {
  const focused = document.activeElement;
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const region of document.querySelectorAll(REGIONS)) {
    const fresh = page.querySelector(`[data-refresh-region="${region.dataset.refreshRegion}"]`);
    if (fresh) morph(region, fresh);
  }
  // An element that is moved loses the focus.
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  show("live", `Refreshed every ${seconds} s`);
}

// A form must not change while the user fills it in.
function isInUse() {
  const field = document.activeElement?.closest("input, textarea, select");
  return Boolean(document.querySelector(":popover-open") || field?.closest(REGIONS));
}

function end(address) {
  state = "ended";
  const isLogin = address?.pathname === bar.dataset.refreshLogin;
  show("ended", isLogin ? "Your session has ended: log in again" : "This page no longer exists, or you may no longer see it");
  button.hidden = true;
}

function show(name, text) {
  bar.dataset.refreshBar = name;
  if (status.textContent !== text) status.textContent = text; // else screen readers would read it again
}

// Make `old` equal to `fresh`. Children with an id are matched by id, all others by their place.
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
// A refresh must not change the page after the form is sent; its response is a new page.
document.addEventListener("submit", () => {
  clearTimeout(timer);
  request?.abort();
});
addEventListener("pageshow", (event) => event.persisted && refresh());

button.hidden = false;
show("live", `Refreshed every ${seconds} s`);
timer = setTimeout(refresh, seconds * 1000);
