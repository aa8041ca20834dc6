// Takes over what the server sends: the HTML of the parts that have changed.

const parts = new EventSource("events");
const FOCUSABLE = "a, button, summary, [tabindex]";

parts.addEventListener("message", (event) => {
  for (const [id, html] of Object.entries(JSON.parse(event.data))) replacePart(document.getElementById(id), html);
  tellAges();
});
parts.addEventListener("open", () => tellState("live"));
parts.addEventListener("error", () => tellState("no connection; the page tries again"));

/** A reader keeps the focus, the order of a table, what is unfolded and how far a table is scrolled. */
function replacePart(part, html) {
  const focus = [...part.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  const sortings = [...part.querySelectorAll("[data-sortable]")].map(sortingOf);
  const unfolded = [...part.querySelectorAll("details")].map((each) => each.open);
  const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
  part.innerHTML = html;
  part.querySelectorAll("[data-sortable]").forEach((table, n) => sortings[n] && sortTable(table, ...sortings[n]));
  part.querySelectorAll("details").forEach((each, n) => (each.open = unfolded[n] ?? false));
  part.querySelectorAll(".scroll").forEach((each, n) => (each.scrollLeft = scrolled[n] ?? 0));
  if (focus >= 0) part.querySelectorAll(FOCUSABLE)[focus]?.focus({ preventScroll: true });
}

function tellState(text) {
  document.getElementById("connection").textContent = text;
}

/** Times are told as ages, which grow from second to second. */
function tellAges() {
  for (const each of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.round(Date.now() / 1000 - Number(each.dataset.since)));
    each.textContent = `${ageText(seconds)} ago`;
  }
}

function ageText(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} days`;
}

setInterval(tellAges, 1000);
tellAges();

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[target="battles"]');
  if (!link) return;
  document.getElementById("battles").hidden = false;
  document.getElementById("battles-wait").hidden = false;
});
document.getElementById("battles")?.addEventListener("load", () => {
  document.getElementById("battles-wait").hidden = true;
});
