// The map as a person handles it: dragged, pinched, zoomed, clicked, or moved by keys; and the marker of the place.

import { byId } from "./dom.js";
import { MapView, pointOf } from "./map_view.js";

const CLICK = 5;
const STEP = 8;
const SETTLED = 500;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WORLD = [-180, -58, 180, 78];

// `chosen` is called with [latitude, longitude] when a person sets the place or has moved it.
export const placeMap = ({ chosen }) => {
  const canvas = byId("map-canvas"), marker = byId("map-marker"), scale = byId("map-scale");
  let place = null, bounds = WORLD, framed = false, timer = 0;
  const view = new MapView(canvas, () => { putMarker(); putScale(); });

  const putMarker = () => {
    marker.hidden = place === null;
    if (!place) return;
    const [x, y] = view.pixelOf(pointOf(place));
    marker.style.transform = `translate(${x}px, ${y}px)`;
    const [width, height] = view.size;
    // Beyond the edge it must not catch clicks, or make the page wider.
    marker.classList.toggle("beyond", x < 0 || y < 0 || x > width || y > height);
  };
  // A round number of kilometres, true in the middle of the map.
  const putScale = () => {
    const [latitude] = view.placeAt(view.size.map(side => side / 2)), most = 140;
    const kilometre = view.scale / 40075 / Math.max(0.02, Math.cos(latitude * Math.PI / 180));
    const power = 10 ** Math.floor(Math.log10(most / kilometre)), round = [5, 2, 1].find(each => each * power * kilometre <= most) * power;
    scale.textContent = round < 1 ? `${Math.round(1000 * round)} m` : `${round.toLocaleString("en")} km`;
    scale.style.inlineSize = `${round * kilometre}px`;
  };
  const set = (next, { look = false } = {}) => {
    place = next;
    if (look && place) show();
    view.redraw();
  };
  // The place in view, and near enough to tell where it is.
  const show = () => {
    const [x, y] = view.pixelOf(pointOf(place)), [width, height] = view.size;
    if (x < 0 || y < 0 || x > width || y > height) view.moveTo(pointOf(place));
  };
  const settle = () => { clearTimeout(timer); timer = setTimeout(() => chosen(place), SETTLED); };
  const reset = () => view.frame(bounds);

  const at = event => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  handled(canvas, { at, view, click: pixel => { set(view.placeAt(pixel)); chosen(place); } });
  canvas.addEventListener("keydown", event => {
    const actions = {
      "+": () => view.zoom(1.5), "=": () => view.zoom(1.5), "-": () => view.zoom(1 / 1.5), Home: reset,
      Enter: () => { set(view.placeAt(view.size.map(side => side / 2))); chosen(place); },
    };
    const arrow = ARROWS[event.key], far = event.shiftKey ? 200 : 50;
    if (event.ctrlKey || event.altKey || event.metaKey || !arrow && !actions[event.key]) return;
    event.preventDefault();
    if (arrow) view.pan(arrow.map(way => -far * way)); else actions[event.key]();
  });

  let grip = null;
  marker.addEventListener("pointerdown", event => {
    if (event.button > 0) return;
    const [x, y] = at(event), [left, top] = view.pixelOf(pointOf(place));
    grip = [x - left, y - top];
    marker.setPointerCapture(event.pointerId);
  });
  marker.addEventListener("pointermove", event => {
    if (grip) set(view.placeAt(at(event).map((side, axis) => side - grip[axis])));
  });
  marker.addEventListener("pointerup", () => { if (grip) { grip = null; chosen(place); } });
  marker.addEventListener("pointercancel", () => { grip = null; });
  marker.addEventListener("keydown", event => {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const pixel = view.pixelOf(pointOf(place)).map((side, axis) => side + arrow[axis] * (event.shiftKey ? 5 : 1) * STEP);
    set(view.placeAt(pixel));
    show();
    settle();
  });
  for (const [id, run] of [["map-in", () => view.zoom(2)], ["map-out", () => view.zoom(0.5)], ["map-frame", reset]]) byId(id).addEventListener("click", run);

  // The map has a size only while it is shown.
  new ResizeObserver(() => {
    if (!canvas.clientWidth) return;
    if (framed) return view.moveTo(view.centre);
    framed = true;
    reset();
    if (place) show();
  }).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.redraw());

  return {
    set,
    // What is drawn: outlines once, and the cells and the frame of a version.
    draw: ({ world, cells }) => view.show({ world, cells }),
    around: next => { [bounds, framed] = [next ?? WORLD, false]; if (canvas.clientWidth) { framed = true; reset(); } },
  };
};

// Fingers and the mouse on the map: one moves it, two zoom it, and one that stays where it is is a click.
const handled = (canvas, { at, view, click }) => {
  const down = new Map();
  let still = true;
  const spread = () => { const [one, other] = [...down.values()]; return Math.hypot(one[0] - other[0], one[1] - other[1]); };
  const middle = () => { const all = [...down.values()]; return [0, 1].map(axis => all.reduce((sum, each) => sum + each[axis], 0) / all.length); };
  canvas.addEventListener("pointerdown", event => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    still = down.size === 0;
    down.set(event.pointerId, at(event));
  });
  canvas.addEventListener("pointermove", event => {
    const before = down.get(event.pointerId), now = at(event);
    if (!before || still && Math.hypot(now[0] - before[0], now[1] - before[1]) < CLICK) return;
    still = false;
    const [from, wide] = [middle(), down.size === 2 ? spread() : null];
    down.set(event.pointerId, now);
    const to = middle();
    view.pan([to[0] - from[0], to[1] - from[1]]);
    if (wide) view.zoom(spread() / wide, to);
  });
  canvas.addEventListener("pointerup", event => {
    if (down.delete(event.pointerId) && still) click(at(event));
  });
  canvas.addEventListener("pointercancel", event => down.delete(event.pointerId));
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    view.zoom(Math.exp(-0.002 * Math.max(-300, Math.min(300, event.deltaY * lines))), at(event));
  }, { passive: false });
};
