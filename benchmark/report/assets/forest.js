/* Differences to the reference, at every moment, with their intervals. */

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
