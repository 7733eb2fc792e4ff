/* Who holds what: samples per client and class. */

const LEVELS = 16;

function partition(figure, data) {
  const { classes, counts } = data.partition;
  const label = "Partition. Arrow keys read cells.";
  const sheet = html("div", { class: "sheet plot", tabindex: 0, role: "group", "aria-label": label });
  const host = html("div", { class: "plot" }, sheet);
  const tip = tooltip(host);
  const highest = Math.max(1, most(counts.map(most)));
  const picked = { row: 0, column: -1 };
  let grid = null;

  const read = () => {
    const { box, wide, tall, drawing } = grid;
    const [x, y] = [box.left + picked.column * wide, box.top + picked.row * tall];
    $(".reading", drawing)?.remove();
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
      if (grid) $(".reading", grid.drawing)?.remove();
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
