"use strict";
// Makes the headings of tables sort them: numbers from the most on, texts from A on, then back.
document.querySelectorAll("table.sorts").forEach(function (table) {
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const keyOf = function (row, column) {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  };
  heads.forEach(function (head, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    button.addEventListener("click", function () {
      const rows = Array.from(body.rows);
      const isNumber = rows.some(function (row) { return typeof keyOf(row, column) === "number"; });
      const first = isNumber ? "descending" : "ascending";
      const second = isNumber ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? second : first;
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", order);
      const turn = order === "ascending" ? 1 : -1;
      rows.sort(function (a, b) {
        const x = keyOf(a, column), y = keyOf(b, column);
        return turn * (isNumber ? (Number(x) || 0) - (Number(y) || 0) : x.localeCompare(y));
      });
      body.append(...rows);
    });
  });
});
