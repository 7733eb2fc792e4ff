/* What moves on a report's page: the leaderboard sorts and filters, charts are drawn from the data in the page.
   Text from the data becomes text nodes and attribute values only, never markup. */

const comparisons = JSON.parse(document.getElementById("data").textContent);
const NOTHING = "–";

const AXES = {
  round: { tab: "Rounds", title: "Round", unit: "" },
  bytes: { tab: "MB sent", title: "Sent, up and down, by all clients together [MB]", unit: " MB" },
  flops: { tab: "TFLOP", title: "Computed by all clients and the server [TFLOP]", unit: " TFLOP" },
  seconds: { tab: "Seconds", title: "Training, all clients together [s]", unit: " s" },
};

/* ---------- elements and numbers ---------- */

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const line = (kind, x1, y1, x2, y2) => svg("line", { class: kind, x1, y1, x2, y2 });
const text = (x, y, anchor, content, kind = "") => svg("text", { x, y, "text-anchor": anchor, class: kind }, content);
const canvas = (width, height, label) =>
  svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });

const digits = (n) => n.toLocaleString("en", { maximumSignificantDigits: 4 });
const whole = (n) => n.toLocaleString("en");
const percent = (n) => `${n.toFixed(2)} %`;
const clamp = (low, n, high) => Math.min(Math.max(n, low), high);
const isNumber = (n) => typeof n === "number";
const mean = (values) => values.reduce((sum, n) => sum + n, 0) / values.length;
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const nearest = (values, n) => values.reduce((a, b) => (Math.abs(b - n) < Math.abs(a - n) ? b : a));

/* ---------- colours that can be seen on either ground ---------- */

/** What a colour is seen on, and the contrast that it then needs: 3 : 1 is what WCAG asks of graphics. */
const GROUNDS = {
  "--on-light": { ground: [255, 255, 255], enough: 3 },
  "--on-dark": { ground: [20, 23, 27], enough: 4.5 },
};

function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Hue, saturation and lightness of #rrggbb, a grey for anything else. */
function hsl(colour) {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour);
  const [r, g, b] = hex ? hex.slice(1).map((c) => parseInt(c, 16) / 255) : [0.5, 0.5, 0.5];
  const [low, high] = [Math.min(r, g, b), Math.max(r, g, b)];
  const [chroma, lightness] = [high - low, (high + low) / 2];
  if (!chroma) return [0, 0, lightness];
  const sector = high === r ? (g - b) / chroma : high === g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
  return [sector * 60, chroma / (1 - Math.abs(2 * lightness - 1)), lightness];
}

function rgb([hue, saturation, lightness]) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n) => {
    const k = (((n + hue / 30) % 12) + 12) % 12;
    return Math.round(255 * (lightness - reach * clamp(-1, Math.min(k - 3, 9 - k), 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

/** The colour, made lighter or darker until it stands out. */
function legible(colour, { ground, enough }) {
  const [hue, saturation, lightness] = hsl(colour);
  const step = luminance(ground) > 0.5 ? -0.02 : 0.02;
  const moved = (n) => rgb([hue, saturation, clamp(0, lightness + n * step, 1)]);
  let n = 0;
  while (n < 50 && contrast(moved(n), ground) < enough) n += 1;
  return `rgb(${moved(n).join(" ")})`;
}

function coloured(element, colour) {
  element.dataset.colour = "";
  for (const [name, ground] of Object.entries(GROUNDS)) element.style.setProperty(name, legible(colour, ground));
  return element;
}

/* ---------- scales and ticks ---------- */

function roundSteps(low, high, count, smallest = 0) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(smallest, power * [1, 2, 5, 10].find((n) => n * power >= rough * 0.999));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function logSteps(low, high, count) {
  const decades = Math.log10(high / low);
  const within = (factors) => {
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      ticks.push(...factors.map((n) => Number((n * 10 ** e).toPrecision(6))));
    }
    return ticks.filter((n) => n >= low * 0.999 && n <= high * 1.001);
  };
  if (decades < 0.7) return roundSteps(low, high, count);
  const fine = within([1, 2, 5]);
  if (fine.length <= count + 2) return fine;
  const coarse = within([1]);
  return coarse.filter((_, i) => i % Math.ceil(coarse.length / count) === 0);
}

function scale(domain, range, log = false) {
  const [low, high] = log ? domain.map(Math.log) : domain;
  return (n) => range[0] + (((log ? Math.log(n) : n) - low) / (high - low || 1)) * (range[1] - range[0]);
}

/* ---------- what the pointer or the keyboard is at ---------- */

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
function watch(plot, { move, key, leave }) {
  const at = (event) => {
    const drawing = plot.querySelector("svg");
    if (!drawing) return;
    const box = drawing.getBoundingClientRect();
    const zoom = drawing.viewBox.baseVal.width / box.width;
    move((event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom);
  };
  plot.addEventListener("pointermove", at);
  plot.addEventListener("pointerdown", at);
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    else if (event.ctrlKey || event.metaKey || event.altKey || !key(event.key)) return;
    event.preventDefault();
  });
}

/* ---------- accuracy over rounds, bytes, FLOPs or seconds ---------- */

function points(series, axis) {
  const found = series.round.map((round, i) => ({
    round,
    x: series[axis][i],
    y: series.accuracy[i],
    low: series.low?.[i],
    high: series.high?.[i],
  }));
  return found.filter((p) => isNumber(p.x) && isNumber(p.y));
}

/** What is drawn of a method: its points, or one level where it sends nothing. */
function track(series, axis, log) {
  const all = points(series, axis);
  const level = axis === "bytes" && all.length > 0 && all.every((p) => p.x === 0) ? all.at(-1).y : null;
  return { series, level, points: level === null ? all.filter((p) => !log || p.x > 0) : [], last: all.at(-1) };
}

function curves(figure, comparison) {
  const state = { axis: "round", log: logByDefault(comparison), hidden: new Set(), cursor: null };
  const plot = html("div", {
    class: "plot",
    tabindex: 0,
    role: "group",
    "aria-label": "Curves. Arrow keys read values.",
  });
  const tip = tooltip(plot);
  const bar = html("div", { class: "bar control" });
  const legend = html("ul", { class: "legend" });
  let drawn = null;

  const read = () => {
    plot.querySelector(".reading")?.remove();
    if (state.cursor === null || !drawn.stops.length) return tip.hide();
    showReading(drawn, state, plot, tip);
  };
  const draw = () => {
    drawn = drawCurves(plot, comparison, state);
    updateLegend(legend, drawn);
    read();
  };
  watch(plot, {
    move(x) {
      if (!drawn.stops.length) return;
      const place = nearest(drawn.stops.map(drawn.across), x);
      state.cursor = drawn.stops.findIndex((stop) => drawn.across(stop) === place);
      read();
    },
    key(name) {
      const last = drawn.stops.length - 1;
      const next = {
        ArrowRight: (state.cursor ?? -1) + 1,
        ArrowLeft: (state.cursor ?? last + 1) - 1,
        Home: 0,
        End: last,
      }[name];
      if (next === undefined) return false;
      state.cursor = clamp(0, next, last);
      read();
      return true;
    },
    leave() {
      state.cursor = null;
      read();
    },
  });
  fillBar(bar, comparison, state, draw);
  fillLegend(legend, comparison, state, draw);
  figure.append(bar, plot, legend);
  return draw;
}

/** Bytes of methods differ by orders of magnitude, or they do not. */
function logByDefault(comparison) {
  const sent = comparison.series.flatMap((s) => points(s, "bytes").map((p) => p.x)).filter((x) => x > 0);
  return sent.length > 0 && most(sent) / least(sent) > 20;
}

function fillBar(bar, comparison, state, draw) {
  const group = `axis-${comparisons.indexOf(comparison)}`;
  const log = html("input", { type: "checkbox", ...(state.log ? { checked: "" } : {}) });
  const check = html("label", { class: "check", hidden: "" }, log, "logarithmic");
  const choices = Object.entries(AXES).map(([axis, { tab }]) => {
    const input = html("input", {
      type: "radio",
      name: group,
      value: axis,
      ...(axis === state.axis ? { checked: "" } : {}),
    });
    input.addEventListener("change", () => {
      Object.assign(state, { axis, cursor: null });
      check.hidden = axis !== "bytes";
      draw();
    });
    return html("label", {}, input, tab);
  });
  log.addEventListener("change", () => {
    Object.assign(state, { log: log.checked, cursor: null });
    draw();
  });
  bar.append(
    html("fieldset", { class: "segments" }, html("legend", { class: "unseen" }, "Horizontal axis"), ...choices),
    check,
  );
}

function fillLegend(legend, comparison, state, draw) {
  for (const series of comparison.series) {
    const sample = svg(
      "svg",
      { "aria-hidden": "true" },
      svg("line", { class: "line", x1: 1, x2: 25, y1: 4, y2: 4, "stroke-dasharray": series.dash }),
    );
    const button = html("button", { type: "button", "aria-pressed": "true" }, sample, html("span", {}, series.label));
    button.addEventListener("click", () => {
      if (!state.hidden.delete(series.label)) state.hidden.add(series.label);
      button.setAttribute("aria-pressed", String(!state.hidden.has(series.label)));
      state.cursor = null;
      draw();
    });
    legend.append(html("li", {}, coloured(button, series.colour)));
  }
}

function updateLegend(legend, { tracks }) {
  tracks.forEach(({ series, level }, i) => {
    legend.children[i].querySelector("span").textContent = series.label + (level === null ? "" : " (0 bytes)");
  });
}

function drawCurves(plot, comparison, state) {
  const log = state.axis === "bytes" && state.log;
  const tracks = comparison.series.map((series) => track(series, state.axis, log));
  const shown = tracks.filter(({ series }) => !state.hidden.has(series.label));
  const width = Math.max(280, Math.round(plot.clientWidth));
  const height = Math.round(clamp(250, width * 0.46, 400));
  const box = { left: 42, right: width - 14, top: 14, bottom: height - 46 };

  const stops = [...new Set(shown.flatMap((t) => t.points.map((p) => p.x)))].sort((a, b) => a - b);
  const xs = domainOfCost(stops, state.axis, log);
  const ys = domainOfAccuracy(shown, comparison.target);
  const levels = [
    { kind: "target", value: comparison.target, words: "target" },
    { kind: "floor", value: comparison.floor, words: "majority class" },
  ];
  const across = scale(xs, [box.left, box.right], log);
  const up = scale(ys, [box.bottom, box.top]);

  const drawing = canvas(width, height, inWords(shown, state.axis));
  drawGrid(drawing, box, { across, up, xs, ys, log, axis: state.axis, empty: stops.length === 0 });
  drawing.append(
    ...shown.map((t) => drawTrack(t, { across, up, box })),
    ...levels.flatMap((level) => levelMarks(level, ys, up, box)),
  );
  plot.querySelector("svg")?.remove();
  plot.prepend(drawing);
  return { tracks, shown, stops, across, up, box, drawing };
}

function domainOfCost(stops, axis, log) {
  if (!stops.length) return log ? [1, 10] : [0, 1];
  const [first, last] = [stops[0], stops.at(-1)];
  if (log) return first < last ? [first / 1.15, last * 1.15] : [first / 3, first * 3];
  if (axis === "round") return first < last ? [first, last] : [first - 1, first + 1];
  return [0, last * 1.02 || 1];
}

/** All that is shown, and the target too unless that would push the curves into a corner. */
function domainOfAccuracy(shown, target) {
  const values = shown.flatMap((t) => [t.level, ...t.points.flatMap((p) => [p.y, p.low, p.high])]).filter(isNumber);
  if (!values.length) return [0, 100];
  let [low, high] = [least(values), most(values)];
  const span = Math.max(high - low, 2);
  if (isNumber(target))
    [low, high] = [Math.min(low, Math.max(target, low - span)), Math.max(high, target <= high + span ? target : high)];
  const margin = Math.max(high - low, 2) * 0.06;
  return [Math.max(Math.min(0, low), low - margin), Math.min(Math.max(100, high), high + margin)];
}

function drawGrid(drawing, box, { across, up, xs, ys, log, axis, empty }) {
  for (const tick of roundSteps(ys[0], ys[1], 6)) {
    drawing.append(
      line("gridline", box.left, up(tick), box.right, up(tick)),
      text(box.left - 8, up(tick) + 4, "end", digits(tick)),
    );
  }
  const count = Math.max(3, Math.floor((box.right - box.left) / 80));
  const ticks = empty
    ? []
    : log
      ? logSteps(xs[0], xs[1], count)
      : roundSteps(xs[0], xs[1], count, axis === "round" ? 1 : 0);
  for (const tick of ticks) {
    drawing.append(
      line("axis", across(tick), box.bottom, across(tick), box.bottom + 4),
      text(across(tick), box.bottom + 18, "middle", digits(tick)),
    );
  }
  const title = empty && axis === "bytes" ? "No method shown sends anything" : AXES[axis].title;
  drawing.append(
    line("axis", box.left, box.bottom, box.right, box.bottom),
    text((box.left + box.right) / 2, box.bottom + 38, "middle", title, "axis-title"),
    text(box.left + 6, box.top - 2, "start", "Mean accuracy of clients [%]", "axis-name"),
  );
}

/** A level's line and name, the target's on the right and the floor's on the left; an arrow where it is far off. */
function levelMarks({ kind, value, words }, ys, up, box) {
  if (!isNumber(value)) return [];
  const [x, anchor] = kind === "target" ? [box.right, "end"] : [box.left + 6, "start"];
  const name = (y, arrow = "") => text(x, y, anchor, `${words} ${digits(value)} %${arrow}`, `${kind}-name`);
  if (value > ys[1]) return [name(kind === "target" ? box.top - 2 : box.top + 14, " ↑")];
  if (value < ys[0]) return [name(box.bottom - 6, " ↓")];
  return [line(kind, box.left, up(value), box.right, up(value)), name(up(value) - 5)];
}

function drawTrack({ series, level, points: ps }, { across, up, box }) {
  const group = coloured(svg("g", { "data-method": series.label }), series.colour);
  const place = (p, value) => `${across(p.x).toFixed(1)},${up(value).toFixed(1)}`;
  const banded = ps.filter((p) => isNumber(p.low) && isNumber(p.high));
  if (banded.length > 1) {
    const edge = [...banded.map((p) => place(p, p.high)), ...banded.map((p) => place(p, p.low)).reverse()];
    group.append(svg("path", { class: "band", d: `M${edge.join("L")}Z` }));
  }
  const path =
    level === null ? ps.map((p) => place(p, p.y)) : [box.left, box.right].map((x) => `${x},${up(level).toFixed(1)}`);
  if (path.length)
    group.append(svg("path", { class: "line", d: `M${path.join("L")}`, "stroke-dasharray": series.dash }));
  if (ps.length <= 15)
    group.append(...ps.map((p) => svg("circle", { class: "dot", cx: across(p.x), cy: up(p.y), r: 3.5 })));
  return group;
}

function inWords(shown, axis) {
  const ends = shown.filter((t) => t.last).map((t) => `${t.series.label} ${percent(t.last.y)}`);
  const said = ends.join(", ") || "nothing shown";
  return `Line chart: mean accuracy of clients over ${AXES[axis].tab}. At the end: ${said}.`;
}

/** At a cost a method has the accuracy of its last round within that cost. */
function showReading({ shown, stops, across, up, box, drawing }, state, plot, tip) {
  const stop = stops[state.cursor];
  const { title, unit } = AXES[state.axis];
  const byRound = state.axis === "round";
  const readings = shown.map((t) => ({ ...t, at: t.points.findLast((p) => p.x <= stop) }));
  const value = (r) => r.level ?? r.at?.y ?? -Infinity;
  readings.sort((a, b) => value(b) - value(a));

  const marks = svg("g", { class: "reading" }, line("cursor", across(stop), box.top, across(stop), box.bottom));
  const rows = readings.map((r) => {
    const aside = r.level !== null ? "0 bytes" : r.at && !byRound ? `round ${whole(r.at.round)}` : "";
    if (r.at)
      marks.append(
        coloured(svg("circle", { class: "dot", cx: across(r.at.x), cy: up(r.at.y), r: 4.5 }), r.series.colour),
      );
    const name = html(
      "th",
      { scope: "row" },
      coloured(html("span", { class: "swatch" }), r.series.colour),
      r.series.label,
    );
    const number = html("td", {}, value(r) === -Infinity ? NOTHING : percent(value(r)));
    return html("tr", {}, name, number, ...(byRound ? [] : [html("td", { class: "aside" }, aside)]));
  });
  drawing.append(marks);
  const zoom = plot.clientWidth / drawing.viewBox.baseVal.width;
  tip.show(across(stop) * zoom, 6, byRound ? `${title} ${whole(stop)}` : `up to ${digits(stop)}${unit}`, rows);
}

/* ---------- accuracy of each client ---------- */

function clients(figure, comparison) {
  const rows = comparison.series
    .map((s) => ({ ...s, dots: s.clients.map((y, client) => ({ client, y })).filter((dot) => isNumber(dot.y)) }))
    .filter((s) => s.dots.length);
  if (!rows.length) {
    figure.remove();
    return () => {};
  }
  const plot = html("div", { class: "plot" });
  const tip = tooltip(plot);
  let drawn = null;
  const leave = () => {
    plot.querySelector(".reading")?.remove();
    tip.hide();
  };
  watch(plot, { move: (x, y) => readClient(drawn, plot, tip, x, y), key: () => false, leave });
  figure.append(
    plot,
    html(
      "p",
      { class: "caption" },
      "A dot per client, by client id from top to bottom; the bar and the number are their mean.",
    ),
  );
  return () => (drawn = drawClients(plot, rows));
}

function drawClients(plot, rows) {
  const width = Math.max(280, Math.round(plot.clientWidth));
  const longest = most(rows.map((s) => s.label.length)) * 7.1 + 14;
  const narrow = longest > width * 0.34;
  const tall = narrow ? 58 : 40;
  const box = { left: narrow ? 8 : longest, right: width - 52, top: 4, bottom: 4 + rows.length * tall };
  const values = rows.flatMap((s) => s.dots.map((dot) => dot.y));
  const [low, high] = [least(values), most(values)];
  const margin = Math.max(high - low, 2) * 0.05;
  const xs = [Math.max(Math.min(0, low), low - margin), Math.min(Math.max(100, high), high + margin)];
  const across = scale(xs, [box.left, box.right]);

  const means = rows.map((s) => `${s.label} ${percent(mean(s.dots.map((d) => d.y)))}`).join(", ");
  const drawing = canvas(width, box.bottom + 44, `Strip plot: accuracy of each client. Means: ${means}.`);
  for (const tick of roundSteps(xs[0], xs[1], Math.max(3, Math.floor((box.right - box.left) / 70)))) {
    drawing.append(
      line("gridline", across(tick), box.top, across(tick), box.bottom),
      text(across(tick), box.bottom + 16, "middle", digits(tick)),
    );
  }
  drawing.append(
    text(
      (box.left + box.right) / 2,
      box.bottom + 36,
      "middle",
      "Accuracy on the client’s own test data [%]",
      "axis-title",
    ),
  );
  const dots = rows.flatMap((s, i) => drawStrip(drawing, s, { across, box, top: box.top + i * tall, tall, narrow }));
  plot.querySelector("svg")?.remove();
  plot.prepend(drawing);
  return { dots, drawing };
}

/** One path holds all dots of a method: a thousand clients are a thousand strokes of no length. */
function drawStrip(drawing, series, { across, box, top, tall, narrow }) {
  const [first, room] = narrow ? [top + 24, tall - 36] : [top + 8, tall - 16];
  const step = room / Math.max(1, series.clients.length - 1);
  const placed = series.dots.map((dot) => ({ ...dot, series, px: across(dot.y), py: first + dot.client * step }));
  const average = mean(series.dots.map((dot) => dot.y));
  const centre = first + room / 2;
  const strokes = placed.map((dot) => `M${dot.px.toFixed(1)},${dot.py.toFixed(1)}h0`).join("");
  drawing.append(
    coloured(svg("path", { class: "clouds", d: strokes }), series.colour),
    line("mean", across(average), first - 5, across(average), first + room + 5),
    text(box.right + 10, centre + 4, "start", average.toFixed(2), "value"),
    narrow
      ? text(box.left, top + 12, "start", series.label, "name")
      : text(box.left - 12, centre + 4, "end", series.label, "name"),
  );
  return placed;
}

function readClient({ dots, drawing }, plot, tip, x, y) {
  const distance = (dot) => Math.hypot(dot.px - x, dot.py - y);
  const dot = dots.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  drawing.querySelector(".reading")?.remove();
  if (distance(dot) > 30) return tip.hide();
  drawing.append(coloured(svg("circle", { class: "dot reading", cx: dot.px, cy: dot.py, r: 4.5 }), dot.series.colour));
  tip.show(dot.px, dot.py + 10, `${dot.series.label}, client ${dot.client}: ${percent(dot.y)}`);
}

/* ---------- who holds what ---------- */

const LEVELS = 16;

function partition(figure, comparison) {
  const { classes, counts } = comparison.partition;
  const sheet = html("div", {
    class: "sheet plot",
    tabindex: 0,
    role: "group",
    "aria-label": "Partition. Arrow keys read cells.",
  });
  const host = html("div", { class: "plot" }, sheet);
  const tip = tooltip(host);
  const highest = Math.max(1, most(counts.map(most)));
  const picked = { row: 0, column: -1 };
  let grid = null;
  figure.classList.toggle("broad", classes.length > 24);

  const read = () => {
    const { box, wide, tall, drawing } = grid;
    const [x, y] = [box.left + picked.column * wide, box.top + picked.row * tall];
    drawing.querySelector(".reading")?.remove();
    drawing.append(svg("rect", { class: "picked reading", x, y, width: wide, height: tall }));
    const samples = whole(counts[picked.row][picked.column]);
    const words = `client ${picked.row}, class ${classes[picked.column]}: ${samples} samples`;
    tip.show(x + wide - sheet.scrollLeft, clamp(0, y + tall + 6 - sheet.scrollTop, sheet.clientHeight), words);
  };
  watch(sheet, {
    move(x, y) {
      const [column, row] = [Math.floor((x - grid.box.left) / grid.wide), Math.floor((y - grid.box.top) / grid.tall)];
      if (counts[row]?.[column] === undefined) return;
      Object.assign(picked, { row, column });
      read();
    },
    key(name) {
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[name];
      if (!step) return false;
      picked.row = clamp(0, picked.row + step[0], counts.length - 1);
      picked.column = clamp(0, picked.column + step[1], classes.length - 1);
      read();
      return true;
    },
    leave() {
      grid?.drawing.querySelector(".reading")?.remove();
      tip.hide();
    },
  });
  figure.append(host, heatKey(highest));
  return () => (grid = drawPartition(sheet, classes, counts, highest));
}

function drawPartition(sheet, classes, counts, highest) {
  const letters = most(classes.map((name) => String(name).length)) * 6.8;
  const left = 20 + String(counts.length - 1).length * 7;
  const room = sheet.clientWidth - left - 4;
  const wide = clamp(6, Math.floor(room / classes.length), 56);
  const tall = clamp(2, Math.floor(560 / counts.length), 24);
  const slanted = letters > wide && letters > 28;
  const box = { left, top: slanted ? 28 + letters * 0.75 : 40 };
  const [width, height] = [
    left + wide * classes.length + (slanted ? letters * 0.75 : 4),
    box.top + tall * counts.length + 4,
  ];
  const drawing = canvas(
    width,
    height,
    `Heat map: samples of ${classes.length} classes at ${counts.length} clients, at most ${whole(highest)}.`,
  );

  drawing.append(text(0, 12, "start", "client ↓  class →"));
  const every = Math.ceil((slanted ? 20 : letters + 6) / wide);
  classes.forEach((name, i) => {
    if (i % every) return;
    const [x, y] = [left + (i + 0.5) * wide, box.top - 8];
    const label = text(x, y, slanted ? "start" : "middle", name);
    if (slanted) label.setAttribute("transform", `rotate(-45 ${x} ${y})`);
    drawing.append(label);
  });
  for (let i = 0; i < counts.length; i += Math.ceil(15 / tall)) {
    drawing.append(text(left - 8, box.top + (i + 0.5) * tall + 4, "end", i));
  }
  drawing.append(...heatPaths(counts, highest, { box, wide, tall }));
  if (wide >= 36 && tall >= 16) drawing.append(...heatNumbers(counts, highest, { box, wide, tall }));
  drawing.append(
    svg("rect", { class: "frame", x: left, y: box.top, width: wide * classes.length, height: tall * counts.length }),
  );
  sheet.replaceChildren(drawing);
  return { box, wide, tall, drawing };
}

/** The root keeps small counts apart from none where one count is large. */
const shade = (count, highest) => Math.ceil(Math.sqrt(count / highest) * LEVELS);

/** One path for all cells of a shade, so that a hundred thousand cells are sixteen elements. */
function heatPaths(counts, highest, { box, wide, tall }) {
  const gap = tall > 8 && wide > 8 ? 1 : 0;
  const cells = Array.from({ length: LEVELS + 1 }, () => []);
  counts.forEach((row, i) =>
    row.forEach((count, j) => {
      if (count > 0)
        cells[shade(count, highest)].push(
          `M${box.left + j * wide},${box.top + i * tall}h${wide - gap}v${tall - gap}h${gap - wide}z`,
        );
    }),
  );
  return cells.flatMap((d, level) =>
    d.length ? [svg("path", { class: "heat", d: d.join(""), opacity: level / LEVELS })] : [],
  );
}

function heatNumbers(counts, highest, { box, wide, tall }) {
  const numbers = [];
  counts.forEach((row, i) =>
    row.forEach((count, j) => {
      const kind = shade(count, highest) > LEVELS * 0.6 ? "count-high" : "count-low";
      if (count > 0)
        numbers.push(text(box.left + (j + 0.5) * wide, box.top + (i + 0.5) * tall + 4, "middle", count, kind));
    }),
  );
  return numbers;
}

function heatKey(highest) {
  const steps = Array.from({ length: LEVELS }, (_, i) =>
    svg("rect", { class: "heat", x: i * 8, y: 0, width: 8, height: 10, opacity: (i + 1) / LEVELS }),
  );
  const ramp = svg("svg", { width: LEVELS * 8, height: 10, "aria-hidden": "true" }, ...steps);
  return html("p", { class: "key" }, "1", ramp, `${whole(highest)} samples, shaded by their square root`);
}

/* ---------- charts are drawn when they are seen ---------- */

const KINDS = { curves, clients, partition };
const pending = new Map();

function drawNow(figure) {
  const start = pending.get(figure);
  if (!start) return;
  pending.delete(figure);
  const draw = start();
  draw();
  let width = figure.clientWidth;
  new ResizeObserver(() => {
    if (!figure.clientWidth || Math.abs(figure.clientWidth - width) < 2) return;
    width = figure.clientWidth;
    requestAnimationFrame(draw); // not here: what changes the layout would call the observer again
  }).observe(figure);
}

function drawWhenSeen() {
  const figures = [...document.querySelectorAll(".chart")];
  for (const figure of figures) {
    pending.set(figure, () => KINDS[figure.dataset.chart](figure, comparisons[figure.dataset.comparison]));
  }
  if (!("IntersectionObserver" in window)) {
    const inSight = () => figures.filter((figure) => figure.clientWidth).forEach(drawNow);
    document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", inSight));
    return inSight();
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
}

function showAllForPrint() {
  const closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((details) => (details.open = true));
  [...pending.keys()].forEach(drawNow);
  window.addEventListener("afterprint", () => closed.forEach((details) => (details.open = false)), { once: true });
}

/* ---------- leaderboard ---------- */

function sortable(table) {
  const heads = [...table.querySelectorAll("thead th")];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const first = head.dataset.better === "high" ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      sortRows(table.tBodies[0], column, head.classList.contains("number"), order === "ascending" ? 1 : -1);
    });
  });
}

/** Rows that are equal stay as they are; rows without a value come last either way. */
function sortRows(body, column, numeric, sign) {
  const value = (row) => row.cells[column].dataset.value;
  const compare = numeric ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b, "en", { numeric: true });
  const rows = [...body.rows].sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (one === undefined || other === undefined) return (one === undefined) - (other === undefined);
    return sign * compare(one, other);
  });
  body.append(...rows);
}

function filterable(section) {
  const rows = [...section.querySelectorAll("tbody tr")].map((row) => ({
    row,
    text: [...row.cells].map((cell) => cell.textContent.toLowerCase()),
  }));
  const controls = Object.fromEntries([...section.querySelectorAll("[data-filter]")].map((c) => [c.dataset.filter, c]));
  const count = section.querySelector(".count");
  const apply = () => {
    const words = controls.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (select, name) => !select.value || select.value === name;
    for (const { row, text } of rows) {
      const found = words.every((word) => text.some((cell) => cell.includes(word)));
      row.hidden = !(
        found &&
        fits(controls.comparison, row.dataset.comparison) &&
        fits(controls.method, row.dataset.method)
      );
    }
    count.textContent = `${whole(rows.filter(({ row }) => !row.hidden).length)} of ${whole(rows.length)} rows`;
  };
  Object.values(controls).forEach((control) => control.addEventListener("input", apply));
  apply();
}

function swatches(section) {
  const colours = new Map(comparisons.flatMap((c) => c.series.map((s) => [s.label, s.colour])));
  for (const cell of section.querySelectorAll("[data-swatch]")) {
    const colour = colours.get(cell.parentElement.dataset.method);
    if (colour) cell.prepend(coloured(html("span", { class: "swatch", "aria-hidden": "true" }), colour));
  }
}

/* ---------- the rest ---------- */

function copies(button) {
  const code = button.parentElement.querySelector("code");
  const rest = [...button.childNodes];
  const say = (word) => {
    button.textContent = word;
    setTimeout(() => button.replaceChildren(...rest), 1500);
  };
  const select = () => {
    getSelection().selectAllChildren(code);
    say("Selected");
  };
  button.addEventListener("click", () => {
    if (!navigator.clipboard) return select();
    navigator.clipboard.writeText(code.textContent).then(() => say("Copied"), select);
  });
}

/** A link to a comparison unfolds it. */
function unfold() {
  const target = document.getElementById(location.hash.slice(1));
  const details = target?.querySelector(":scope > details");
  if (!details || details.open) return;
  details.open = true;
  target.scrollIntoView();
}

/** The contents are a folded bar on a narrow screen, and mark what is being read on a wide one. */
function contents(nav) {
  const details = nav.querySelector("details");
  const wide = matchMedia("(min-width: 70rem)");
  const fold = () => (details.open = wide.matches);
  wide.addEventListener("change", fold);
  fold();
  nav.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) details.open = false;
  });
  if (!("IntersectionObserver" in window)) return;
  const links = new Map([...nav.querySelectorAll("a")].map((a) => [a.hash.slice(1), a]));
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const link = links.get(target.id);
        if (isIntersecting) link?.setAttribute("aria-current", "true");
        else link?.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-25% 0px -74% 0px" },
  );
  document.querySelectorAll("main > section").forEach((section) => observer.observe(section));
}

const leaderboard = document.getElementById("leaderboard");
if (leaderboard) {
  sortable(leaderboard.querySelector("table"));
  filterable(leaderboard);
  swatches(leaderboard);
}
document.querySelectorAll(".copy").forEach(copies);
document.querySelectorAll("nav").forEach(contents);
drawWhenSeen();
unfold();
addEventListener("hashchange", unfold);
addEventListener("beforeprint", showAllForPrint);
