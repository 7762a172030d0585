// Brings the page up to date every five seconds, unless somebody is using it. Reading works without it.
"use strict";

const EVERY = 5000;
const button = document.getElementById("live");
const live = () => button !== null && button.getAttribute("aria-pressed") === "true";
const busy = () => document.hidden || String(document.getSelection()) !== "" || document.querySelector("main :focus") !== null;

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main[data-live]");
  if (fresh !== null && live() && !busy()) document.querySelector("main").replaceChildren(...fresh.childNodes);
}

async function tick() {
  if (live() && !busy()) {
    try {
      await refresh();
      button.classList.remove("stale");
    } catch {
      button.classList.add("stale");
    }
  }
  setTimeout(tick, EVERY);
}

if (button !== null && document.querySelector("main[data-live]") !== null) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const on = !live();
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Live" : "Paused";
  });
  setTimeout(tick, EVERY);
}
