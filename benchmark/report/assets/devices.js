/* Seconds to the target on devices: one slider is the link, the other the device; the middle of both is the profile. */

const DECADES_EACH_WAY = { link: 2, rate: 2 };

/** The factor of a slider's place, 0 to 100: one in the middle. */
const factorAt = (name, place = state[name]) => 10 ** ((place / 50 - 1) * DECADES_EACH_WAY[name]);

/** Mean seconds over seeds: for each of them a sum, and for rounds whose slowest client depends on the sliders the
    largest of several; null if a seed has not reached the target. */
function secondsOf({ seeds }, rate, up) {
  const seconds = ([fixed, flops, bits]) => fixed + flops / rate + bits / up;
  const totals = seeds.map((run) => seconds(run.alone) + run.rounds.reduce((sum, terms) => sum + most(terms.map(seconds)), 0));
  return totals.length ? mean(totals) : null;
}

function devices(figure, data) {
  const { target, profile, methods } = data.devices;
  const labels = methods.map(({ label }) => label);
  const bits = (n) => (n >= 1e6 ? `${digits(n / 1e6)} Mbit/s` : `${digits(n / 1e3)} kbit/s`);
  const flops = (n) => (n >= 1e9 ? `${digits(n / 1e9)} GFLOP/s` : `${digits(n / 1e6)} MFLOP/s`);
  const upAt = (place) => profile.up * factorAt("link", place);
  const rateAt = (place) => profile.flops * factorAt("rate", place);
  const refresh = controls(figure, () => [
    slider("link", "Link, up", (place) => bits(upAt(place))),
    slider("rate", "Device", (place) => flops(rateAt(place))),
  ]);
  const { plot, draw } = markedPlot(`Seconds to ${target} %.`, (label) => isolate(label, labels));
  figure.append(plot, html("p", { class: "key" }, `The middle of both sliders is ${profile.name}; ${profile.words}`));
  return (how) => {
    refresh(how);
    const rows = methods
      .filter(({ label }) => !isHidden(label))
      .map((method) => ({ ...method, seconds: secondsOf(method, rateAt(), upAt()) }))
      .sort((a, b) => (a.seconds ?? Infinity) - (b.seconds ?? Infinity));
    draw(...drawDevices(widthOf(plot), rows, target));
  };
}

function drawDevices(width, rows, target) {
  const layout = rowsBox(width, rows.map(({ label }) => label), { right: 92, tall: 24 });
  const { box } = layout;
  const reached = rows.map(({ seconds }) => seconds).filter(isNumber);
  const xs = domainOfCost(reached, { log: true });
  const across = scale(xs, [box.left, box.right], true);
  const words = ({ label, seconds }) => `${label}: ${isNumber(seconds) ? `${digits(seconds)} s` : "not reached"}`;
  const drawing = canvas(width, box.bottom + 46, `Seconds to ${target} %. ${rows.map(words).join(", ")}.`);
  frame(drawing, box, { xs, across, log: true, title: `Seconds to ${target} %` });
  const marks = rows.map((row, i) => {
    const y = rowName(drawing, layout, row.label, i);
    const x = isNumber(row.seconds) ? across(row.seconds) : box.right;
    if (isNumber(row.seconds)) {
      const dot = svg("circle", { class: "dot", cx: x, cy: y, r: 4.5 });
      drawing.append(coloured(svg("g", { "data-method": row.label }, line("spread", box.left, y, x, y), dot), row));
    }
    const value = isNumber(row.seconds) ? `${digits(row.seconds)} s` : "not reached";
    drawing.append(text(box.right + 10, y + 4, "start", value, "value"));
    return { x, y, row: i, label: row.label, words: words(row) };
  });
  return [drawing, marks];
}
