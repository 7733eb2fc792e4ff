/* Accuracy over rounds, bytes, FLOPs or seconds. */

const AXES = CHOICES.axis;

const momentOf = (data) => data.moments.find(({ name }) => name === state.moment) ?? data.moments[0];
const momentChooser = (data, name, title) =>
  data.moments.length > 1 ? chooser(name, title, data.moments.map((m, i) => [i ? m.name : "", m.words])) : null;
const shownOf = (data) => data.series.filter(({ label }) => !isHidden(label));
const isolateIn = (data) => (label) => isolate(label, data.series.map((series) => series.label));

/** The points of a method's curve at a moment, over a cost or rounds. */
function points(series, axis, moment) {
  const curve = series.curves[moment];
  const found = series.round.map((round, i) => ({
    round,
    x: series[axis][i],
    y: curve.accuracy[i],
    low: curve.low?.[i],
    high: curve.high?.[i],
  }));
  return found.filter((p) => isNumber(p.x) && isNumber(p.y));
}

/** What is drawn of a method: its points, or one level where it sends nothing. */
function track(series, axis, moment, log) {
  const all = points(series, axis, moment);
  const level = axis === "bytes" && all.length > 0 && all.every((p) => p.x === 0) ? all.at(-1).y : null;
  return { series, level, points: level === null ? all.filter((p) => !log || p.x > 0) : [], last: all.at(-1) };
}

/** Bytes of methods differ by orders of magnitude, or they do not. */
function isLog(data, cost) {
  if (cost !== "bytes") return false;
  if (state.log) return state.log === "yes";
  const sent = data.series.flatMap((s) => s.bytes).filter((x) => x > 0);
  return sent.length > 0 && most(sent) / least(sent) > 20;
}

function curves(figure, data) {
  const plot = plotOf("Curves. Arrow keys read values.");
  const tip = tooltip(plot);
  let [view, cursor] = [null, null];
  const bar = controls(figure, () => [
    html(
      "fieldset",
      { class: "segments" },
      html("legend", { class: "unseen" }, "Horizontal axis"),
      ...Object.entries(AXES).map(([axis, { tab }]) => axisButton(figure, axis, tab)),
    ),
    state.axis === "bytes" ? logBox(data) : null,
    momentChooser(data, "moment", "Accuracy"),
  ]);
  const read = () => {
    $(".reading", plot)?.remove();
    if (cursor === null || !view.stops.length) return tip.hide();
    showReading(view, view.stops[clamp(0, cursor, view.stops.length - 1)], plot, tip);
  };
  watch(plot, {
    move(x) {
      if (!view.stops.length) return;
      const place = nearest(view.stops.map(view.across), x);
      cursor = view.stops.findIndex((stop) => view.across(stop) === place);
      read();
    },
    key(name) {
      const last = view.stops.length - 1;
      const next = { ArrowRight: (cursor ?? -1) + 1, ArrowLeft: (cursor ?? last + 1) - 1, Home: 0, End: last }[name];
      if (next === undefined) return false;
      cursor = clamp(0, next, last);
      read();
      return true;
    },
    click(x, y) {
      const near = view.stops.length ? nearestTrack(view, view.stops[clamp(0, cursor ?? 0, view.stops.length - 1)], y) : null;
      if (near) isolateIn(data)(near.series.label);
    },
    leave() {
      cursor = null;
      read();
    },
  });
  figure.append(plot);
  return (how) => {
    bar(how);
    view = drawCurves(plot, data);
    read();
  };
}

/** The method whose line is at a height, at a cost, if one is near enough. */
function nearestTrack({ tracks, up }, stop, y) {
  const far = (t) => Math.abs(up(t.level ?? t.points.findLast((p) => p.x <= stop)?.y ?? NaN) - y);
  const found = tracks.filter((t) => far(t) < 16).sort((a, b) => far(a) - far(b));
  return found[0] ?? null;
}

function axisButton(figure, axis, tab) {
  const name = `axis-${figure.closest("[data-part]").dataset.part}`;
  const input = html("input", { type: "radio", name, value: axis, "data-choice": "axis" });
  input.checked = axis === state.axis;
  input.addEventListener("change", () => set({ axis }));
  return html("label", {}, input, tab);
}

function logBox(data) {
  const input = html("input", { type: "checkbox", "data-choice": "log" });
  input.checked = isLog(data, "bytes");
  input.addEventListener("change", () => set({ log: input.checked ? "yes" : "no" }));
  return html("label", { class: "check" }, input, "logarithmic");
}

function drawCurves(plot, data) {
  const { name: moment, words } = momentOf(data);
  const [axis, log] = [state.axis, isLog(data, state.axis)];
  const tracks = shownOf(data).map((series) => track(series, axis, moment, log));
  const width = widthOf(plot);
  const box = { left: 42, right: width - 14, top: 14, bottom: Math.round(clamp(250, width * 0.46, 400)) - 46 };
  const stops = [...new Set(tracks.flatMap((t) => t.points.map((p) => p.x)))].sort((a, b) => a - b);
  const xs = domainOfCost(stops, { log, rounds: axis === "round" });
  if (axis !== "round" && !log) xs[0] = 0;
  const ends = tracks.flatMap((t) => t.points.flatMap((p) => [p.low, p.high]));
  const ys = domainOfAccuracy(tracks.flatMap((t) => [t.level, ...t.points.map((p) => p.y)]).filter(isNumber), ends);
  const [across, up] = [scale(xs, [box.left, box.right], log), scale(ys, [box.bottom, box.top])];
  const drawing = canvas(width, box.bottom + 46, inWords(tracks, axis, words));
  const empty = stops.length === 0;
  const cut = ends.some((n) => isNumber(n) && (n < ys[0] || n > ys[1])) ? " – intervals go beyond the axis" : "";
  const title = empty && axis === "bytes" ? "No method shown sends anything" : AXES[axis].title + cut;
  const names = { title, name: `Mean accuracy of clients ${words} [%]` };
  frame(drawing, box, { xs, across, log, ys, up, empty, smallest: axis === "round" ? 1 : 0, ...names });
  drawing.append(
    ...tracks.map((t) => drawTrack(t, { across, up, box, ys })),
    ...levelMarks("target", data.target, "target", ys, up, box),
    ...levelMarks("floor", data.floor, "majority class", ys, up, box),
  );
  redraw(plot, drawing);
  return { tracks, stops, across, up, box, drawing };
}

/** A level's line and name, the target's on the right and the floor's on the left; an arrow where it is far off. */
function levelMarks(kind, value, words, ys, up, box) {
  if (!isNumber(value)) return [];
  const [x, anchor] = kind === "target" ? [box.right, "end"] : [box.left + 6, "start"];
  const name = (y, arrow = "") => text(x, y, anchor, `${words} ${digits(value)} %${arrow}`, `${kind}-name`);
  if (value > ys[1]) return [name(kind === "target" ? box.top - 2 : box.top + 14, " ↑")];
  if (value < ys[0]) return [name(box.bottom - 6, " ↓")];
  return [line(kind, box.left, up(value), box.right, up(value)), name(up(value) - 5)];
}

function drawTrack({ series, level, points: ps }, { across, up, box, ys }) {
  const group = coloured(svg("g", { "data-method": series.label }), series);
  const place = (p, value) => `${across(p.x).toFixed(1)},${up(clamp(ys[0], value, ys[1])).toFixed(1)}`;
  const banded = ps.filter((p) => isNumber(p.low) && isNumber(p.high));
  if (banded.length > 1) {
    const edge = [...banded.map((p) => place(p, p.high)), ...banded.map((p) => place(p, p.low)).reverse()];
    group.append(svg("path", { class: "band", d: `M${edge.join("L")}Z` }));
  }
  const path =
    level === null ? ps.map((p) => place(p, p.y)) : [box.left, box.right].map((x) => `${x},${up(level).toFixed(1)}`);
  const dash = series.dash || null;
  if (path.length) group.append(svg("path", { class: "line", d: `M${path.join("L")}`, "stroke-dasharray": dash }));
  if (ps.length <= 15)
    group.append(...ps.map((p) => svg("circle", { class: "dot", cx: across(p.x), cy: up(p.y), r: 3.5 })));
  return group;
}

function inWords(tracks, axis, words) {
  const ends = tracks.filter((t) => t.last).map((t) => `${t.series.label} ${percent(t.last.y)}`);
  const said = ends.join(", ") || "nothing shown";
  return `Line chart: mean accuracy of clients ${words} over ${AXES[axis].tab}. At the end: ${said}.`;
}

/** At a cost a method has the accuracy of its last round within that cost. */
function showReading({ tracks, across, up, box, drawing }, stop, plot, tip) {
  const { title, unit } = AXES[state.axis];
  const byRound = state.axis === "round";
  const readings = tracks.map((t) => ({ ...t, at: t.points.findLast((p) => p.x <= stop) }));
  const value = (r) => r.level ?? r.at?.y ?? -Infinity;
  readings.sort((a, b) => value(b) - value(a));
  const marks = svg("g", { class: "reading" }, line("cursor", across(stop), box.top, across(stop), box.bottom));
  const rows = readings.map((r) => {
    const aside = r.level !== null ? "0 bytes" : r.at && !byRound ? `round ${whole(r.at.round)}` : "";
    if (r.at) marks.append(coloured(svg("circle", { class: "dot", cx: across(r.at.x), cy: up(r.at.y), r: 4.5 }), r.series));
    const swatch = coloured(html("span", { class: "swatch" }), r.series);
    const number = html("td", {}, value(r) === -Infinity ? NOTHING : percent(value(r)));
    const name = html("th", { scope: "row" }, swatch, r.series.label);
    return html("tr", {}, name, number, ...(byRound ? [] : [html("td", { class: "aside" }, aside)]));
  });
  drawing.append(marks);
  const zoom = plot.clientWidth / drawing.viewBox.baseVal.width;
  tip.show(across(stop) * zoom, 6, byRound ? `${title} ${whole(stop)}` : `up to ${digits(stop)}${unit}`, rows);
}
