/* What puts the page together: the comparison that is shown, its methods, its charts, and what the address says. */

const sections = $$("section.comparison");
const choice = $('[data-state="comparison"]');

/** The id of the comparison that is shown, or "all". */
function shownComparison() {
  const known = state.comparison === "all" || sections.some((section) => section.dataset.comparison === state.comparison);
  return known ? state.comparison : (sections[0]?.dataset.comparison ?? "");
}

function showComparison() {
  const shown = shownComparison();
  if (choice) choice.value = shown;
  sections.forEach((section) => section.classList.toggle("shown", section.dataset.comparison === shown));
}

/** For each method of a comparison a box that hides it and a button that shows it alone. */
function legend(section) {
  const host = $(".legend", section);
  if (!host) return () => {};
  const items = new Map();
  const fill = () => {
    const { series } = dataOf("charts", section.dataset.part);
    const labels = series.map(({ label }) => label);
    for (const one of series) {
      const box = html("input", { type: "checkbox", "aria-label": `show ${one.label}` });
      box.addEventListener("change", () => hide(one.label, !box.checked));
      const sample = svg("line", { class: "line", x1: 1, x2: 25, y1: 4, y2: 4, "stroke-dasharray": one.dash || null });
      const button = html("button", { type: "button" }, svg("svg", { "aria-hidden": "true" }, sample), one.label);
      button.title = "show alone, or all again";
      button.addEventListener("click", () => isolate(one.label, labels));
      items.set(one.label, box);
      host.append(coloured(html("span", { class: "item" }, box, button), one));
    }
  };
  return () => {
    if (!section.classList.contains("shown")) return;
    if (!items.size) fill();
    items.forEach((box, label) => {
      box.checked = !isHidden(label);
      box.parentElement.classList.toggle("off", isHidden(label));
    });
  };
}

/** What is printed is what is shown; its charts are drawn whether they have been in sight or not. */
function drawForPrint() {
  [...pending.keys()].filter((figure) => figure.clientWidth).forEach(drawNow);
  drawn.forEach((draw, figure) => figure.clientWidth && draw({ keepControls: true }));
}

choice?.addEventListener("change", () => set({ comparison: choice.value }));
readAddress();
watchers.push(showComparison, ...sections.map(legend));
const board = document.getElementById("leaderboard");
if (board) watchers.push(leaderboard(board));
watchers.forEach((watcher) => watcher({}));
drawWhenSeen({ curves, forest, front, clients, partition, devices });
downloads();
const linkButton = document.getElementById("link");
if (linkButton) copies(linkButton, () => location.href, () => prompt("The link to this view:", location.href));
for (const button of $$(".copy")) {
  const code = $("code", button.parentElement);
  copies(button, () => code.textContent, () => getSelection().selectAllChildren(code));
}
addEventListener("hashchange", () => {
  readAddress();
  watchers.forEach((watcher) => watcher({}));
});
addEventListener("beforeprint", drawForPrint);
