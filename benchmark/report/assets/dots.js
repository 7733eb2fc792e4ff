/* Charts of dots: differences to the reference, fronts of accuracy and a cost, clients paired with a reference. */

/* ---------- differences ---------- */

function forest(figure, data) {
  const { moments, reference, rows } = data.forest;
  const labels = rows.map(({ label }) => label);
  const { plot, draw } = markedPlot(`Differences to ${reference}.`, (label) => isolate(label, labels.concat(reference)));
  figure.append(plot, forestKey(moments));
  return () => {
    const shown = rows.filter(({ label }) => !isHidden(label));
    draw(...drawForest(widthOf(plot), shown, data.forest));
  };
}

function forestKey(moments) {
  const keys = moments.map(({ words }, i) => {
    const mark = svg("svg", { width: 24, height: 10 }, line("spread", 1, 5, 23, 5), forestDot(12, 5, i));
    return html("span", { class: "key-item" }, mark, words);
  });
  const rule = "bars: 95 % intervals over seeds; †: chance does not explain it; an arrow goes on beyond the axis";
  return html("p", { class: "key" }, ...keys, rule);
}

const forestDot = (x, y, moment) => svg("circle", { class: moment ? "dot open" : "dot", cx: x, cy: y, r: 4.5 });

function drawForest(width, rows, { moments, reference }) {
  const layout = rowsBox(width, rows.map(({ label }) => label), { right: 74, tall: 12 + 16 * moments.length });
  const { box } = layout;
  const found = rows.flatMap(({ effects }) => Object.values(effects));
  const means = found.map((effect) => effect.mean).concat(0);
  const span = Math.max(most(means) - least(means), 1);
  const reach = (n) => clamp(least(means) - span, n, most(means) + span);
  const ends = means.concat(found.flatMap(({ low, high }) => [low, high].filter(isNumber).map(reach)));
  const margin = Math.max(most(ends) - least(ends), 1) * 0.04;
  const xs = [least(ends) - margin, most(ends) + margin];
  const across = scale(xs, [box.left, box.right]);
  const said = rows.map(({ label, effects }) => `${label} ${Object.values(effects).map((e) => signed(e.mean)).join(" and ")}`);
  const drawing = canvas(width, box.bottom + 46, `Forest plot: differences to ${reference} in points. ${said.join(", ")}.`);
  frame(drawing, box, { xs, across, title: `Difference to ${reference} [points of accuracy]` });
  drawing.append(line("zero", across(0), box.top, across(0), box.bottom));
  const marks = rows.flatMap((row, i) => {
    const centre = rowName(drawing, layout, row.label, i);
    return moments.flatMap(({ name, words }, m) => {
      const effect = row.effects[name];
      const y = centre + (m - (moments.length - 1) / 2) * 16;
      return effect ? [forestMark(drawing, row, effect, { words, m, y, i, across, xs, box })] : [];
    });
  });
  return [drawing, marks];
}

function forestMark(drawing, row, effect, { words, m, y, i, across, xs, box }) {
  const x = across(effect.mean);
  const group = coloured(svg("g", { "data-method": row.label }), row);
  const hasSpread = isNumber(effect.low);
  if (hasSpread) {
    const [low, high] = [effect.low, effect.high].map((n) => clamp(xs[0], n, xs[1]));
    group.append(line("spread", across(low), y, across(high), y));
    if (effect.low < xs[0]) group.append(svg("path", { class: "arrow", d: `M${box.left},${y}l7,-4v8z` }));
    if (effect.high > xs[1]) group.append(svg("path", { class: "arrow", d: `M${box.right},${y}l-7,-4v8z` }));
  }
  group.append(forestDot(x, y, m));
  const number = `${signed(effect.mean)}${effect.marked ? " †" : ""}`;
  drawing.append(group, text(box.right + 10, y + 4, "start", number, "value"));
  const spread = hasSpread ? ` [${signed(effect.low)}, ${signed(effect.high)}]` : "";
  return { x, y, row: i, label: row.label, words: `${row.label} ${words}: ${number}${spread}` };
}

/* ---------- fronts ---------- */

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

/* ---------- clients ---------- */

function clients(figure, data) {
  const { plot, draw } = markedPlot("Clients.", isolateIn(data));
  const labels = data.series.map(({ label }) => label);
  const bar = controls(figure, () => [
    chooser("against", "Minus", [
      ["", data.reference ?? "nothing"],
      ...labels.filter((label) => label !== data.reference).map((label) => [label, label]),
      ...(data.reference ? [["-", "nothing"]] : []),
    ]),
    momentChooser(data, "moment", "Accuracy"),
  ]);
  figure.append(plot, html("p", { class: "caption" }, "A dot per client and seed; the bar and the number are their mean."));
  return (how) => {
    bar(how);
    const reference = state.against === "-" ? null : labels.includes(state.against) ? state.against : data.reference;
    draw(...drawClients(widthOf(plot), data, reference));
  };
}

/** Every client under every seed, by itself or minus the same client under the reference. */
function clientDots(data, series, reference) {
  const found = data.clients[momentOf(data).name];
  const other = data.series.find(({ label }) => label === reference);
  return series.seeds.flatMap((seed, s) => {
    const [own, theirs] = [found[series.label][s] ?? [], other ? (found[reference][other.seeds.indexOf(seed)] ?? []) : null];
    const value = (y, client) => (theirs ? y - theirs[client] : y);
    return own.map((y, client) => ({ seed, client, own: y, value: value(y, client) })).filter((d) => isNumber(d.value) && !Number.isNaN(d.value));
  });
}

function drawClients(width, data, reference) {
  const rows = shownOf(data)
    .filter(({ label }) => label !== reference)
    .map((series) => ({ series, dots: clientDots(data, series, reference) }))
    .filter(({ dots }) => dots.length);
  const layout = rowsBox(width, rows.map(({ series }) => series.label), { right: 60, tall: 40 });
  const { box } = layout;
  const values = rows.flatMap(({ dots }) => dots.map((d) => d.value)).concat(reference ? 0 : []);
  const [low, high] = values.length ? [least(values), most(values)] : [0, 100];
  const margin = Math.max(high - low, 2) * 0.05;
  const xs = [low - margin, high + margin];
  const across = scale(xs, [box.left, box.right]);
  const means = rows.map(({ series, dots }) => `${series.label} ${mean(dots.map((d) => d.value)).toFixed(2)}`);
  const title = reference ? `Difference of clients to ${reference} [points]` : "Accuracy of clients [%]";
  const drawing = canvas(width, box.bottom + 46, `Strip plot: ${title}. Means: ${means.join(", ")}.`);
  frame(drawing, box, { xs, across, title });
  if (reference) drawing.append(line("zero", across(0), box.top, across(0), box.bottom));
  const marks = rows.flatMap((row, i) => drawStrip(drawing, row, { layout, across, reference, i }));
  return [drawing, marks];
}

/** One path holds all dots of a method: a thousand clients are a thousand strokes of no length. */
function drawStrip(drawing, { series, dots }, { layout, across, reference, i }) {
  const centre = rowName(drawing, layout, series.label, i);
  const count = 1 + most(dots.map((d) => d.client));
  const place = (d) => centre + 24 * ((d.client + 0.5) / count - 0.5);
  const placed = dots.map((d) => ({ ...d, x: across(d.value), y: place(d) })).sort((a, b) => a.x - b.x);
  const average = mean(dots.map((d) => d.value));
  const strokes = placed.map((d) => `M${d.x.toFixed(1)},${d.y.toFixed(1)}h0`).join("");
  drawing.append(
    coloured(svg("path", { class: "clouds", d: strokes, "data-method": series.label }), series),
    line("mean", across(average), centre - 15, across(average), centre + 15),
    text(layout.box.right + 10, centre + 4, "start", reference ? signed(average) : average.toFixed(2), "value"),
  );
  return placed.map((d) => {
    const theirs = reference ? `, ${signed(d.value)} to ${reference}` : "";
    const words = `${series.label}, client ${d.client}, seed ${d.seed}: ${percent(d.own)}${theirs}`;
    return { x: d.x, y: d.y, row: i, label: series.label, words };
  });
}
