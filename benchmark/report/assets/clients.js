/* Clients, each minus the same client under a reference, over all seeds. */

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
