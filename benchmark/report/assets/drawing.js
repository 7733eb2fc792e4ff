/* What all charts have in common: what the pointer or the keyboard is at, and when they are drawn. */

function tooltip(host) {
  const box = html("div", { class: "tip", hidden: "", "aria-live": "polite" });
  host.append(box);
  return {
    hide: () => (box.hidden = true),
    show(x, y, head, rows = []) {
      const body = html("tbody", {}, ...rows);
      box.replaceChildren(html("div", { class: "head" }, head), ...(rows.length ? [html("table", {}, body)] : []));
      box.hidden = false;
      const beside = x + 14 + box.offsetWidth <= host.clientWidth ? x + 14 : x - 14 - box.offsetWidth;
      box.style.left = `${clamp(0, beside, Math.max(0, host.clientWidth - box.offsetWidth))}px`;
      box.style.top = `${y}px`;
    },
  };
}

/** Calls back with the pointer's place in the units of the drawing, and with the names of keys. */
function watch(plot, { move, key, leave, click }) {
  const at = (act) => (event) => {
    const drawing = $("svg", plot);
    if (!drawing) return;
    const box = drawing.getBoundingClientRect();
    const zoom = drawing.viewBox.baseVal.width / box.width;
    act((event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom);
  };
  plot.addEventListener("pointermove", at(move));
  plot.addEventListener("pointerdown", at(move));
  if (click) plot.addEventListener("click", at(click));
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    else if (event.ctrlKey || event.metaKey || event.altKey || !key(event.key)) return;
    event.preventDefault();
  });
}

const plotOf = (label) => html("div", { class: "plot", tabindex: 0, role: "group", "aria-label": label });
const widthOf = (plot) => Math.max(280, Math.round(plot.clientWidth));

/** Puts a new drawing into a plot in place of the old one. */
function redraw(plot, drawing) {
  $("svg", plot)?.remove();
  plot.prepend(drawing);
}

/** A plot whose marks are read one by one: the nearest to the pointer, or by arrow keys the next in its row or in the
    next row. A mark: { x, y, row, label, words }. Enter or a click shows its method alone. */
function markedPlot(label, pick) {
  const plot = plotOf(`${label} Arrow keys read values, Enter shows a method alone.`);
  const tip = tooltip(plot);
  let [marks, at] = [[], null];
  const show = (mark) => {
    at = mark;
    $(".reading", plot)?.remove();
    if (!mark) return tip.hide();
    const drawing = $("svg", plot);
    drawing.append(svg("circle", { class: "ring reading", cx: mark.x, cy: mark.y, r: 6.5 }));
    const zoom = plot.clientWidth / drawing.viewBox.baseVal.width;
    tip.show(mark.x * zoom, mark.y * zoom + 12, mark.words);
  };
  const near = (x, y) => {
    const far = (mark) => Math.hypot(mark.x - x, mark.y - y);
    const found = marks.reduce((a, b) => (a && far(a) <= far(b) ? a : b), null);
    return found && far(found) < 34 ? found : null;
  };
  watch(plot, {
    move: (x, y) => show(near(x, y)),
    click: (x, y) => near(x, y) && pick(near(x, y).label),
    leave: () => show(null),
    key(name) {
      if (!marks.length) return false;
      if (name === "Enter") at && pick(at.label);
      else if (name === "Home" || !at) show(marks[0]);
      else if (name === "End") show(marks.at(-1));
      else if (name === "ArrowRight" || name === "ArrowLeft") {
        show(marks[clamp(0, marks.indexOf(at) + (name === "ArrowRight" ? 1 : -1), marks.length - 1)]);
      } else if (name === "ArrowDown" || name === "ArrowUp") {
        const rows = [...new Set(marks.map((mark) => mark.row))];
        const row = rows[clamp(0, rows.indexOf(at.row) + (name === "ArrowDown" ? 1 : -1), rows.length - 1)];
        const inside = marks.filter((mark) => mark.row === row);
        show(inside.reduce((a, b) => (Math.abs(b.x - at.x) < Math.abs(a.x - at.x) ? b : a)));
      } else return false;
      return true;
    },
  });
  return {
    plot,
    draw(drawing, drawn) {
      [marks, at] = [drawn, null];
      redraw(plot, drawing);
      tip.hide();
    },
  };
}

/** Room for the names of rows: beside them, or above them where the page is narrow. */
function rowsBox(width, labels, { right, tall }) {
  const longest = most([0, ...labels.map((label) => label.length)]) * 7.1 + 14;
  const narrow = longest > width * 0.34;
  const height = narrow ? tall + 18 : tall;
  const box = { left: narrow ? 8 : longest, right: width - right, top: 6, bottom: 6 + labels.length * height };
  return { box, narrow, height };
}

/** The name of a row, and the middle of what is left of its height. */
function rowName(drawing, { box, narrow, height }, label, row) {
  const top = box.top + row * height;
  const centre = narrow ? top + 18 + (height - 18) / 2 : top + height / 2;
  drawing.append(
    narrow ? text(box.left, top + 13, "start", label, "name") : text(box.left - 12, centre + 4, "end", label, "name"),
  );
  return centre;
}

const pending = new Map();
const drawn = new Map();

/** Draws charts when they come into sight, and again when their width or the state changes. */
function drawNow(figure) {
  const start = pending.get(figure);
  if (!start) return;
  pending.delete(figure);
  const draw = start();
  drawn.set(figure, draw);
  draw({});
  performance.mark("drawn");
  let width = figure.clientWidth;
  new ResizeObserver(() => {
    if (!figure.clientWidth || Math.abs(figure.clientWidth - width) < 2) return;
    width = figure.clientWidth;
    requestAnimationFrame(() => draw({ keepControls: true })); // not here: a new layout would call the observer again
  }).observe(figure);
}

function drawWhenSeen(kinds) {
  const figures = $$(".chart");
  for (const figure of figures) {
    const place = figure.closest("[data-part]").dataset.part;
    pending.set(figure, () => kinds[figure.dataset.chart](figure, dataOf("charts", place)));
  }
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
        observer.unobserve(target);
        drawNow(target);
      }
    },
    { rootMargin: "400px 0px" },
  );
  figures.forEach((figure) => observer.observe(figure));
  watchers.push((how) => drawn.forEach((draw, figure) => figure.clientWidth && draw(how)));
}

/** The controls of a chart, made anew unless one of them is being moved. */
function controls(figure, make) {
  const bar = html("div", { class: "bar control" });
  figure.append(bar);
  return (how) => {
    if (how.keepControls) return;
    const focused = bar.contains(document.activeElement) ? document.activeElement.dataset.choice : null;
    const value = document.activeElement?.value;
    bar.replaceChildren(...make().filter(Boolean));
    if (focused) {
      const again = $$(`[data-choice="${focused}"]`, bar);
      (again.find((each) => each.value === value) ?? again[0])?.focus();
    }
  };
}
