"use strict";
// Tables with data-sortable: a click on the head of a column sorts by it, a second one the other way round.

/** By data-order: numbers by size, texts by their letters, with the numbers in them by size. */
function compareCells(a, b) {
  const [left, right] = [a.dataset.order, b.dataset.order];
  const numbers = left !== "" && right !== "" && !isNaN(left) && !isNaN(right);
  return numbers ? left - right : left.localeCompare(right, "en", { numeric: true });
}

function sortTable(table, column, direction) {
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => direction * compareCells(a.cells[column], b.cells[column]));
  body.append(...rows);
  [...table.tHead.rows[0].cells].forEach((cell, number) => {
    if (number === column) cell.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
  });
}

/** How a table is sorted: [column, direction], or null. */
function sortingOf(table) {
  const cells = [...table.tHead.rows[0].cells];
  const column = cells.findIndex((cell) => cell.hasAttribute("aria-sort"));
  return column < 0 ? null : [column, cells[column].getAttribute("aria-sort") === "ascending" ? 1 : -1];
}

document.addEventListener("click", (event) => {
  const head = event.target.closest("[data-sortable] thead button")?.parentElement;
  if (!head) return;
  const sorting = sortingOf(head.closest("table"));
  const again = sorting !== null && sorting[0] === head.cellIndex;
  const first = isNaN(head.closest("table").tBodies[0].rows[0]?.cells[head.cellIndex].dataset.order || "x") ? 1 : -1;
  sortTable(head.closest("table"), head.cellIndex, again ? -sorting[1] : first);
});
