// Tables that can be sorted by a column's heading, and filtered by what stands in their rows. Without it they are whole.
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  const value = (row, column) => {
    const cell = row.cells[column], text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return text !== "" && Number.isFinite(number) ? number : text;
  };
  const empty = (x) => x === "–" || x === "";
  const compare = (a, b) => {
    // What is not known comes last, whichever way the rows are sorted.
    if (empty(a) || empty(b)) return null;
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = "sort by " + head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = [...body.rows].sort((x, y) => {
        const a = value(x, column), b = value(y, column), order = compare(a, b);
        return order === null ? Number(empty(a)) - Number(empty(b)) : down ? -order : order;
      });
      body.append(...sorted);
    });
  });
  if (!("filterable" in table.dataset)) continue;
  const bar = document.createElement("div"), count = document.createElement("span");
  const words = document.createElement("input");
  bar.className = "filters";
  words.type = "search";
  words.placeholder = "find";
  words.setAttribute("aria-label", "find in the table");
  const choices = heads.map((head, column) => [head, column]).filter(([head]) => "choose" in head.dataset).map(([head, column]) => {
    const select = document.createElement("select"), all = document.createElement("option");
    select.setAttribute("aria-label", head.textContent);
    all.textContent = head.textContent + ": all";
    all.value = "";
    select.append(all);
    for (const text of [...new Set(rows.map((row) => row.cells[column].textContent.trim()))].sort()) {
      const option = document.createElement("option");
      option.textContent = option.value = text;
      select.append(option);
    }
    return [select, column];
  });
  const apply = () => {
    let shown = 0;
    for (const row of rows) {
      const fits = choices.every(([select, column]) => !select.value || row.cells[column].textContent.trim() === select.value);
      row.hidden = !(fits && row.textContent.toLowerCase().includes(words.value.trim().toLowerCase()));
      shown += Number(!row.hidden);
    }
    count.textContent = shown + " of " + rows.length;
  };
  for (const control of [words, ...choices.map(([select]) => select)]) {
    control.addEventListener("input", apply);
    bar.append(control);
  }
  count.setAttribute("role", "status");
  bar.append(count);
  table.parentElement.before(bar);
  apply();
}
