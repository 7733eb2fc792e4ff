/* The leaderboard: one comparison or all, sorted, filtered, with the columns that were chosen. */

function leaderboard(section) {
  const table = $("table", section);
  const heads = $$("thead th", table);
  const keys = heads.map((head) => head.dataset.key);
  const rows = [...table.tBodies[0].rows];
  const texts = new Map(rows.map((row) => [row, [...row.cells].map((cell) => cell.textContent.toLowerCase())]));
  rows.forEach((row) => nameButton(row));
  heads.forEach((head) => $("button", head).addEventListener("click", () => set({ sort: nextSort(head) })));
  $('[data-state="filter"]', section).addEventListener("input", (event) => set({ filter: event.target.value }));
  const choice = $('[data-state="comparison"]');
  choice?.addEventListener("change", () => set({ comparison: choice.value }));
  const boxes = $$("[data-column]", section);
  const usual = boxes.filter((box) => box.checked).map((box) => box.dataset.column);
  boxes.forEach((box) => box.addEventListener("change", () => set({ columns: chosenColumns(boxes, usual) })));
  return () => {
    sortRows(table.tBodies[0], rows, heads);
    const visible = filterRows(rows, texts);
    showColumns(table, keys, boxes, state.columns ? listOf("columns") : filledColumns(rows, keys, usual));
    $(".count", section).textContent = `${whole(visible)} of ${whole(rows.length)} rows`;
    $('[data-state="filter"]', section).value = state.filter;
    if (choice) choice.value = shownComparison();
    showMarks(section, rows);
  };
}

/** The name of a method becomes a button that shows it alone in the charts of its comparison. */
function nameButton(row) {
  const cell = $("th", row);
  const others = () => $$(`tr[data-comparison="${CSS.escape(row.dataset.comparison)}"]`).map((each) => each.dataset.method);
  const look = lookOf(row.dataset.comparison, row.dataset.method);
  const swatch = look ? coloured(html("span", { class: "swatch", "aria-hidden": "true" }), look) : "";
  const button = html("button", { type: "button", class: "method" }, swatch, cell.firstChild);
  button.addEventListener("click", () => isolate(row.dataset.method, others()));
  cell.prepend(button);
}

/** A method's colour, from the first comparison that is read already; it is the same in all. */
function lookOf(place, label) {
  const section = document.getElementById(place);
  if (!looks.size || !looks.has(label)) {
    for (const series of dataOf("charts", section.dataset.part).series) looks.set(series.label, series);
  }
  return looks.get(label);
}
const looks = new Map();

/** A first click on a head sorts the best first, a second the other way round. */
function nextSort(head) {
  const { key, better } = head.dataset;
  const first = better === "high" ? `-${key}` : key;
  return state.sort === first ? (first === key ? `-${key}` : key) : first;
}

/** Rows that are equal stay as they are; rows without a value come last either way. */
function sortRows(body, rows, heads) {
  const key = state.sort.replace(/^-/, "");
  const column = heads.findIndex((head) => head.dataset.key === key);
  const sign = state.sort.startsWith("-") ? -1 : 1;
  heads.forEach((head, i) => {
    if (i === column) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  const order = [...rows];
  if (column >= 0) {
    const numeric = heads[column].classList.contains("number");
    const value = (row) => row.cells[column].dataset.value;
    const compare = numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
    order.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      if (one === undefined || other === undefined) return (one === undefined) - (other === undefined);
      return sign * compare(one, other);
    });
  }
  if (order.some((row, i) => body.rows[i] !== row)) body.append(...order);
}

/** Hides rows of other comparisons and those without all words of the filter; returns how many are left. */
function filterRows(rows, texts) {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const place = shownComparison();
  let visible = 0;
  for (const row of rows) {
    const here = place === "all" || row.dataset.comparison === place;
    const found = here && words.every((word) => texts.get(row).some((cell) => cell.includes(word)));
    row.hidden = !found;
    row.classList.toggle("faint", isHidden(row.dataset.method));
    visible += found ? 1 : 0;
  }
  return visible;
}

function chosenColumns(boxes, usual) {
  const chosen = boxes.filter((box) => box.checked).map((box) => box.dataset.column);
  return chosen.join() === usual.join() ? "" : chosen.join("\n") || "method";
}

/** Those of some columns that have something in them in any row that is shown. */
function filledColumns(rows, keys, columns) {
  const visible = rows.filter((row) => !row.hidden);
  const filled = (key) => visible.some((row) => row.cells[keys.indexOf(key)].textContent !== NOTHING);
  return columns.filter((key) => !visible.length || filled(key));
}

/** Shows the columns that were chosen, and the comparison's only beside those of others. */
function showColumns(table, keys, boxes, chosen) {
  boxes.forEach((box) => (box.checked = chosen.includes(box.dataset.column)));
  const all = shownComparison() === "all";
  const shown = keys.map((key) => key === "method" || (key === "comparison" ? all : chosen.includes(key)));
  for (const row of table.rows) [...row.cells].forEach((cell, i) => (cell.hidden = !shown[i]));
}

/** Footnotes of rows that are shown. */
function showMarks(section, rows) {
  const visible = rows.filter((row) => !row.hidden).flatMap((row) => $$("td:not([hidden]) sup, th sup", row));
  const marks = new Set(visible.map((sup) => sup.textContent));
  $$("[data-mark]", section).forEach((note) => (note.hidden = !marks.has(note.dataset.mark)));
}
