/* Files that the page makes of what is in it: it works without the files beside it. */

function save(name, kind, content) {
  const link = html("a", { href: URL.createObjectURL(new Blob([content], { type: kind })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const DRAWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity"];
const WRITTEN = ["font-family", "font-size", "paint-order"];

/** A chart as a file of its own: what the page's style says of each element becomes an attribute. */
function svgFile(drawing) {
  const copy = drawing.cloneNode(true);
  const originals = $$("*", drawing);
  $$("*", copy).forEach((element, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of [...DRAWN, ...(element.tagName === "text" ? WRITTEN : [])]) {
      element.setAttribute(name, style.getPropertyValue(name));
    }
    for (const name of ["class", "style", "data-colour"]) element.removeAttribute(name);
  });
  $$(".reading", copy).forEach((mark) => mark.remove());
  const ground = getComputedStyle(document.body).backgroundColor;
  copy.prepend(svg("rect", { width: "100%", height: "100%", fill: ground }));
  return new XMLSerializer().serializeToString(copy);
}

/** A cell of a CSV file; a text that a spreadsheet would take for a formula is marked as a text. */
function csvCell(content) {
  const safe = /^[=+\-@\t\r]/.test(content) && Number.isNaN(Number(content)) ? `'${content}` : content;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The leaderboard as it is shown, with values as they are. */
function boardFile(table) {
  const rows = [...table.rows].filter((row) => !row.hidden);
  const value = (cell) => cell.dataset.value ?? (cell.textContent === NOTHING ? "" : (cell.querySelector("button") ?? cell).textContent);
  const words = (row) => [...row.cells].filter((cell) => !cell.hidden).map((cell) => csvCell(value(cell).trim()));
  return rows.map((row) => words(row).join(",")).join("\n") + "\n";
}

function downloads() {
  for (const button of $$("[data-save]")) {
    const { save: name, part } = button.dataset;
    const kind = name.endsWith(".csv") ? "text/csv" : "application/x-tex";
    button.addEventListener("click", () => save(name, kind, dataOf("files", part)[name]));
  }
  for (const button of $$("[data-svg]")) {
    const place = button.closest("[data-part]");
    button.addEventListener("click", () => {
      const drawing = $(".plot svg", button.closest(".chart"));
      if (drawing) save(`${place.dataset.comparison ?? place.id}-${button.dataset.svg}.svg`, "image/svg+xml", svgFile(drawing));
    });
  }
  const board = $("[data-save-board]");
  board?.addEventListener("click", () => save("leaderboard.csv", "text/csv", boardFile($("#leaderboard table"))));
}

/** Copies a text; where the browser does not let a page do so, selects it. */
function copies(button, content, select) {
  const rest = [...button.childNodes];
  const say = (word) => {
    button.textContent = word;
    setTimeout(() => button.replaceChildren(...rest), 1500);
  };
  const otherwise = () => {
    select();
    say("Selected");
  };
  button.addEventListener("click", () => {
    if (!navigator.clipboard) return otherwise();
    navigator.clipboard.writeText(content()).then(() => say("Copied"), otherwise);
  });
}
