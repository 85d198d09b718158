// The part of a photograph that holds the organism: drawn with mouse or finger, or written as four numbers.

import { make } from "./dom.js";

const WHOLE = [0, 0, 1, 1];
const LEAST = 0.02;
const EDGES = ["Left", "Top", "Right", "Bottom"];
const within = (number, low, high) => Math.min(high, Math.max(low, number));
const tidy = number => Math.round(number * 1000) / 1000;

// A region with left < right and upper < lower, each at least `LEAST` wide.
const proper = ([left, upper, right, lower]) => {
  const [l, r] = [Math.min(left, right), Math.max(left, right)], [u, d] = [Math.min(upper, lower), Math.max(upper, lower)];
  const [x, y] = [within(l, 0, 1 - LEAST), within(u, 0, 1 - LEAST)];
  return [x, y, within(r, x + LEAST, 1), within(d, y + LEAST, 1)].map(tidy);
};

const place = (box, [left, upper, right, lower]) => {
  box.style.left = `${100 * left}%`;
  box.style.top = `${100 * upper}%`;
  box.style.width = `${100 * (right - left)}%`;
  box.style.height = `${100 * (lower - upper)}%`;
};

// The editor: {stage, controls}. `chosen` is called while it moves, `settled` when it stays, `ask` to ask again.
export const regionEditor = ({ image, region, asked, settled, ask }) => {
  let current = region ?? WHOLE, from = null, drawing = false;
  const box = make("div", { class: "region", "aria-hidden": "true" });
  const stage = make("div", { class: "stage" }, image, box);
  const fields = EDGES.map((edge, position) => make("input", {
    type: "number", min: 0, max: 100, step: 1, inputmode: "numeric", id: `region-${position}`,
    onchange: () => { set(proper(fields.map(field => Number(field.value) / 100))); settle(); },
  }));
  const toggle = make("button", {
    type: "button", "aria-expanded": "false", "aria-controls": "region-fields", id: "region-draw",
    text: "Mark the organism", onclick: () => mode(!drawing),
  });
  const again = make("button", { type: "button", class: "main", id: "region-ask", text: "Ask about this part",
    onclick: () => ask(isWhole() ? null : current) });
  const whole = make("button", { type: "button", id: "region-whole", text: "Whole photograph",
    onclick: () => { set(WHOLE); settle(); if (asked) ask(null); } });
  const tools = make("div", { id: "region-fields", class: "region-fields", hidden: true },
    make("p", { class: "muted small", text: "Drag over the photograph, or give the edges in percent of its width and height." }),
    make("div", { class: "row" }, EDGES.map((edge, position) => make("label", { class: "edge" }, `${edge} %`, fields[position]))),
    make("div", { class: "row" }, again, whole));
  const isWhole = () => current.every((edge, position) => edge === WHOLE[position]);

  const set = next => {
    current = next;
    place(box, current);
    box.hidden = isWhole();
    fields.forEach((field, position) => { field.value = String(Math.round(100 * current[position])); });
    again.disabled = isWhole() || String(current) === String(asked ?? WHOLE);
    whole.disabled = isWhole() && !asked;
  };
  const settle = () => settled(isWhole() ? null : current);
  const mode = on => {
    drawing = on;
    stage.classList.toggle("drawing", on);
    toggle.setAttribute("aria-expanded", String(on));
    tools.hidden = !on;
  };
  const at = event => {
    const area = stage.getBoundingClientRect();
    return [within((event.clientX - area.left) / area.width, 0, 1), within((event.clientY - area.top) / area.height, 0, 1)];
  };
  stage.addEventListener("pointerdown", event => {
    if (!drawing || event.button > 0) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    from = at(event);
  });
  stage.addEventListener("pointermove", event => { if (from) set(proper([...from, ...at(event)])); });
  stage.addEventListener("pointerup", event => {
    if (!from) return;
    const [[x, y], [toX, toY]] = [from, at(event)];
    from = null;
    // A press without a movement is no region.
    if (Math.abs(toX - x) < LEAST && Math.abs(toY - y) < LEAST) return;
    set(proper([x, y, toX, toY]));
    settle();
  });
  stage.addEventListener("pointercancel", () => { from = null; });
  set(current);
  mode(Boolean(region));
  return { stage, controls: make("div", {}, toggle, tools) };
};
