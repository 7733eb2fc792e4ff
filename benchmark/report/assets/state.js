/* What is shown, as one object that the page's address holds: a link opens the page as it was. */

const DEFAULTS = {
  comparison: "",
  sort: "",
  filter: "",
  columns: "",
  hidden: "",
  axis: "round",
  log: "",
  moment: "",
  cost: "bytes",
  score: "",
  bars: true,
  target: 0,
  budget: 0,
  against: "",
  link: 50,
  rate: 50,
};
/* Lists are texts with a line for each item, as labels may have any other character in them. */

/* What may be said of what has a fixed number of choices. */
const CHOICES = {
  axis: {
    round: { tab: "Rounds", title: "Round", unit: "" },
    bytes: { tab: "MB sent", title: "Sent, up and down, by all clients together [MB]", unit: " MB" },
    flops: { tab: "TFLOP", title: "Computed by all clients and the server [TFLOP]", unit: " TFLOP" },
    seconds: { tab: "Seconds", title: "Training, all clients together [s]", unit: " s" },
  },
  cost: { bytes: "Sent [MB]", flops: "Computed [TFLOP]", seconds: "Training [s]" },
};

const state = { ...DEFAULTS };
const watchers = [];

const listOf = (name) => state[name].split("\n").filter(Boolean);
const isHidden = (label) => listOf("hidden").includes(label);

/** Reads the address; what it does not say, or can't mean, is as by default. */
function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const text = said.get(name);
    if (text === null) state[name] = usual;
    else if (typeof usual === "number") state[name] = clamp(0, Number(text) || 0, 100);
    else if (typeof usual === "boolean") state[name] = text !== "no";
    else state[name] = text;
    if (CHOICES[name] && !(state[name] in CHOICES[name])) state[name] = usual;
  }
}

function writeAddress() {
  const said = new URLSearchParams();
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (state[name] !== usual) said.set(name, state[name] === false ? "no" : state[name]);
  }
  const hash = said.size ? `#${said}` : location.pathname + location.search;
  history.replaceState(null, "", hash);
}

/** Changes the state, the address, and whatever shows it. */
function set(changes, how = {}) {
  Object.assign(state, changes);
  writeAddress();
  for (const watcher of watchers) watcher(how);
}

/** Shows one method alone, or all again if it is alone already. */
function isolate(label, labels) {
  const others = labels.filter((other) => other !== label);
  const alone = !isHidden(label) && others.every(isHidden);
  const before = listOf("hidden").filter((other) => !labels.includes(other));
  set({ hidden: [...before, ...(alone ? [] : others)].join("\n") });
}

function hide(label, hidden) {
  const others = listOf("hidden").filter((other) => other !== label);
  set({ hidden: [...others, ...(hidden ? [label] : [])].join("\n") });
}
