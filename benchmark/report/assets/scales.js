/* Scales, their ticks, and the frame of a chart. */

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

/** The ends of a cost's axis. */
function domainOfCost(values, { log, rounds }) {
  if (!values.length) return log ? [1, 10] : [0, 1];
  const [first, last] = [least(values), most(values)];
  if (log) return first < last ? [first / 1.15, last * 1.15] : [first / 3, first * 3];
  if (rounds) return first < last ? [first, last] : [first - 1, first + 1];
  return [0, last * 1.04 || 1];
}

/** The ends of an axis of accuracies in percent: all means, and intervals as far as they do not flatten these.
    Nothing beyond 0 and 100 % is shown, for no accuracy lies there, whatever an interval of two seeds says. */
function domainOfAccuracy(means, ends) {
  if (!means.length) return [0, 100];
  const [low, high] = [least(means), most(means)];
  const span = Math.max(high - low, 2);
  const reach = (n) => clamp(low - span / 2, n, high + span / 2);
  const all = [low, high, ...ends.filter(isNumber).map(reach)];
  const margin = span * 0.06;
  return [Math.max(0, least(all) - margin), Math.min(100, most(all) + margin)];
}

/** Grid lines and their numbers for a horizontal axis below and, if there is one, a vertical one on the left. */
function frame(drawing, box, { xs, across, log, smallest, title, ys, up, name, empty }) {
  const rows = ys ? roundSteps(ys[0], ys[1], 6) : [];
  for (const tick of rows) {
    drawing.append(
      line("gridline", box.left, up(tick), box.right, up(tick)),
      text(box.left - 8, up(tick) + 4, "end", digits(tick)),
    );
  }
  const count = Math.max(3, Math.floor((box.right - box.left) / 80));
  const ticks = empty ? [] : log ? logSteps(xs[0], xs[1], count) : roundSteps(xs[0], xs[1], count, smallest ?? 0);
  for (const tick of ticks) {
    drawing.append(
      line(ys ? "axis" : "gridline", across(tick), ys ? box.bottom : box.top, across(tick), box.bottom + (ys ? 4 : 0)),
      text(across(tick), box.bottom + 18, "middle", digits(tick)),
    );
  }
  drawing.append(
    line("axis", box.left, box.bottom, box.right, box.bottom),
    text((box.left + box.right) / 2, box.bottom + 38, "middle", title, "axis-title"),
  );
  if (name) drawing.append(text(box.left + 6, Math.min(box.top - 2, 12), "start", name, "axis-name"));
}
