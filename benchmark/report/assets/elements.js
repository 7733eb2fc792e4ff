/* Elements and numbers. Text from the data becomes text nodes and attribute values only, never markup. */

const NOTHING = "–";

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
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

const digits = (n) => n.toLocaleString("en", { maximumSignificantDigits: 4 }).replace("-", "−");
const whole = (n) => n.toLocaleString("en");
const percent = (n) => `${n.toFixed(2)} %`;
const signed = (n) => (n < 0 ? "−" : "+") + Math.abs(n).toFixed(2);
const clamp = (low, n, high) => Math.min(Math.max(n, low), high);
const isNumber = (n) => typeof n === "number";
const mean = (values) => values.reduce((sum, n) => sum + n, 0) / values.length;
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const nearest = (values, n) => values.reduce((a, b) => (Math.abs(b - n) < Math.abs(a - n) ? b : a));

/** A method's colour, one for light ground and one for dark. */
function coloured(element, { colour, dark }) {
  element.dataset.colour = "";
  element.style.setProperty("--on-light", colour);
  element.style.setProperty("--on-dark", dark);
  return element;
}

/** The data of a part of the page, read when it is first asked for. */
const parts = new Map();
function dataOf(kind, place) {
  const key = `${kind}-${place}`;
  if (!parts.has(key)) parts.set(key, JSON.parse(document.getElementById(key).textContent));
  return parts.get(key);
}

/** A choice of one among some, as a select; `name` is the key of the state that it sets. */
function chooser(name, title, choices) {
  const options = choices.map(([value, words]) =>
    html("option", { value, selected: state[name] === value ? "" : null }, words),
  );
  const select = html("select", { "data-choice": name }, ...options);
  select.addEventListener("change", () => set({ [name]: select.value }));
  return html("label", {}, title, select);
}

function toggle(name, title) {
  const input = html("input", { type: "checkbox", "data-choice": name, checked: state[name] ? "" : null });
  input.addEventListener("change", () => set({ [name]: input.checked }));
  return html("label", { class: "check" }, input, title);
}

/** A slider whose left end means that there is no limit; `words` says what a value means. */
function slider(name, title, words) {
  const output = html("output", {}, words(state[name]));
  const input = html("input", { type: "range", min: 0, max: 100, value: state[name], "data-choice": name });
  input.setAttribute("aria-label", title);
  input.addEventListener("input", () => {
    output.textContent = words(Number(input.value));
    set({ [name]: Number(input.value) }, { keepControls: true });
  });
  return html("label", { class: "slider" }, title, input, output);
}
