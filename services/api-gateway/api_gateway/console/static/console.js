// Brings the page up to date every five seconds, unless somebody is using it. Reading works without it.
"use strict";

const EVERY = 5000;
const button = document.getElementById("live");
const live = () => button !== null && button.getAttribute("aria-pressed") === "true";
const busy = () => document.hidden || String(document.getSelection()) !== "" || document.querySelector("main :focus") !== null;

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (answer.type === "opaqueredirect") return location.reload(); // nobody is logged in any more
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main[data-live]");
  if (fresh !== null && live() && !busy()) document.querySelector("main").replaceChildren(...fresh.childNodes);
}

function show(stale) {
  button.classList.toggle("stale", stale);
  button.textContent = !live() ? "Paused" : stale ? "No answer" : "Live";
}

async function tick() {
  if (live() && !busy()) {
    try {
      await refresh();
      show(false);
    } catch {
      show(true);
    }
  }
  setTimeout(tick, EVERY);
}

if (button !== null && document.querySelector("main[data-live]") !== null) {
  button.hidden = false;
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!live()));
    show(false);
  });
  setTimeout(tick, EVERY);
}
