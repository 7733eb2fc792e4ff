/* Fronts: a score against one cost, in all or within a target and a budget. */

const COSTS = CHOICES.cost;
const WORST = "worst";
const scoresOf = (data) => [...data.moments.map((m, i) => [i ? m.name : "", `accuracy ${m.words}`]), [WORST, "worst tenth of clients"]];
/** The score that is chosen, by its name in the data. */
const scoreOf = (data) => (scoresOf(data).some(([name]) => name && name === state.score) ? state.score : data.moments[0].name);

function front(figure, data) {
  const { plot, draw } = markedPlot("Fronts.", isolateIn(data));
  const dearest = () => most(data.series.map(({ totals }) => totals[state.cost]).concat(0));
  const bar = controls(figure, () => [
    chooser("cost", "Cost", Object.entries(COSTS)),
    chooser("score", "Score", scoresOf(data)),
    toggle("bars", "error bars"),
    state.cost === "bytes" ? logBox(data) : null,
    ...(scoreOf(data) === WORST ? [] : limits(dearest)),
  ]);
  figure.append(plot);
  return (how) => {
    bar(how);
    draw(...drawFront(widthOf(plot), data, dearest()));
  };
}

/** Sliders for what a curve reaches: the worst tenth has no curve. */
const limits = (dearest) => [
  slider("target", "Target", (n) => (n ? `${n} %` : "none")),
  slider("budget", "Budget", (n) => (n ? `${digits(budgetOf(n, dearest()))} ${unitOf(state.cost)}` : "none")),
];
const unitOf = (cost) => COSTS[cost].match(/\[(.*)\]/)[1];
/** Costs differ by orders of magnitude: the slider's steps grow with the cost. */
const budgetOf = (step, highest) => highest * (step / 100) ** 3;

/** Where a method stands: in all, or where its curve first reaches the target within the budget, or last is within it. */
function standing(series, data, highest) {
  const score = scoreOf(data);
  const limited = score !== WORST && (state.target || state.budget);
  if (!limited) {
    const [y, low, high] = series.scores[score] ?? [];
    return isNumber(y) ? { series, x: series.totals[state.cost], y, low, high, counts: true } : null;
  }
  const budget = state.budget ? budgetOf(state.budget, highest) : Infinity;
  const inside = points(series, state.cost, score).filter((p) => p.x <= budget);
  const reached = state.target ? inside.find((p) => p.y >= state.target) : inside.at(-1);
  const at = reached ?? inside.at(-1);
  return at ? { series, ...at, counts: Boolean(reached) } : null;
}

function drawFront(width, data, highest) {
  const found = shownOf(data).map((series) => standing(series, data, highest)).filter(Boolean);
  const box = { left: 42, right: width - 14, top: 26, bottom: Math.round(clamp(240, width * 0.6, 360)) - 46 };
  const ends = state.bars ? found.flatMap((p) => [p.low, p.high]) : [];
  const { xs, log, across, zero } = frontScale(found.map((p) => p.x), isLog(data, state.cost), box);
  const ys = domainOfAccuracy(found.map((p) => p.y), ends);
  const up = scale(ys, [box.bottom, box.top]);
  const counted = found.filter((p) => p.counts);
  const said = found.map((p) => `${p.series.label} ${percent(p.y)} for ${digits(p.x)}`).join(", ");
  const drawing = canvas(width, box.bottom + 46, `Scatter plot of accuracy and ${COSTS[state.cost]}: ${said}.`);
  const reach = state.target ? `, ${counted.length} of ${found.length} reach ${state.target} %` : "";
  frame(drawing, box, { xs, across, log, ys, up, title: COSTS[state.cost], name: `Score [%]${reach}` });
  if (zero) drawing.append(text(zero, box.bottom + 18, "middle", "0"));
  const best = data.ranked ? onFront(counted) : [];
  if (best.length > 1) drawing.append(frontLine(best, across, up));
  const marks = found.map((p, i) => frontMark(drawing, p, { across, up, ys, i }));
  nameDots(drawing, marks, box);
  return [drawing, marks];
}

/** The horizontal axis of a front; on a logarithmic one what costs nothing stands at the left, at a tick of its own. */
function frontScale(costs, log, box) {
  const positive = costs.filter((x) => x > 0);
  if (!log || !positive.length) {
    const xs = domainOfCost(costs, { log: false });
    return { xs, log: false, across: scale(xs, [box.left, box.right]) };
  }
  const free = costs.some((x) => x === 0);
  const left = box.left + (free ? 50 : 10);
  const xs = [least(positive), Math.max(most(positive), least(positive) * 10)];
  const across = scale(xs, [left, box.right - 10], true);
  const zero = free ? box.left + 10 : null;
  return { xs, log: true, across: (x) => (x > 0 ? across(x) : zero), zero };
}

/** Writes names beside dots, on the side with more room, below those that they would lie on. */
function nameDots(drawing, marks, box) {
  const placed = [];
  for (const { x, y, label } of [...marks].sort((a, b) => a.y - b.y)) {
    const wide = 6.6 * label.length + 12;
    const left = x + wide > box.right;
    const ends = left ? [x - wide, x] : [x, x + wide];
    const overlaps = (at) => placed.some((p) => p.ends[0] < ends[1] && ends[0] < p.ends[1] && Math.abs(p.at - at) < 12);
    let at = y - 6;
    while (overlaps(at)) at += 3;
    placed.push({ ends, at });
    drawing.append(text(x + (left ? -9 : 9), at, left ? "end" : "start", label, "dot-name"));
  }
}

/** Points that no other is as accurate as for less, by cost. */
function onFront(found) {
  const beats = (a, b) => a.x <= b.x && a.y >= b.y && (a.x < b.x || a.y > b.y);
  return found.filter((p) => !found.some((other) => beats(other, p))).sort((a, b) => a.x - b.x);
}

function frontLine(best, across, up) {
  const steps = best.map((p, i) => (i ? `H${across(p.x)}V${up(p.y)}` : `M${across(p.x)},${up(p.y)}`));
  return svg("path", { class: "front-line", d: steps.join("") });
}

function frontMark(drawing, p, { across, up, ys, i }) {
  const [x, y] = [across(p.x), up(p.y)];
  const group = coloured(svg("g", { "data-method": p.series.label }), p.series);
  if (state.bars && isNumber(p.low)) {
    const [low, high] = [p.low, p.high].map((n) => up(clamp(ys[0], n, ys[1])));
    group.append(line("spread", x, low, x, high));
  }
  group.append(svg("circle", { class: p.counts ? "dot" : "dot open", cx: x, cy: y, r: 5 }));
  drawing.append(group);
  const round = p.round ? ` in round ${whole(p.round)}` : "";
  const words = `${p.series.label}: ${percent(p.y)} for ${digits(p.x)} ${unitOf(state.cost)}${round}`;
  return { x, y, row: i, label: p.series.label, words };
}
