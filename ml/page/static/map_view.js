// The world on a canvas, in Mercator's projection: land, coasts, borders, and where occurrences are.
//
// A point of the world is (u, v): u from 0 at 180 degrees west to 1 at 180 degrees east, v from 0 in the north to 1.

const radians = degrees => degrees * Math.PI / 180;
const within = (number, low, high) => Math.min(high, Math.max(low, number));
// Where the projection ends, so that the world is as high as wide.
const NORTHMOST = 85.0511;
// Pixels of the width of the world: at most, a pixel is about a hundred metres at the equator.
const LARGEST = 4e5;
const NEAR = 1e-5;

export const pointOf = ([latitude, longitude]) => {
  const sine = Math.sin(radians(within(latitude, -NORTHMOST, NORTHMOST)));
  return [(longitude + 180) / 360, 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)];
};
export const placeOf = ([u, v]) => [Math.atan(Math.sinh(Math.PI * (1 - 2 * v))) * 180 / Math.PI, 360 * (u - Math.floor(u)) - 180];

// Lines as the server writes them: steps of longitude and latitude, in `unit` parts of a degree.
const lineOf = (steps, unit) => {
  const points = new Float32Array(steps.length), box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0, longitude = 0, latitude = 0; at < steps.length; at += 2) {
    [longitude, latitude] = [longitude + steps[at], latitude + steps[at + 1]];
    const [u, v] = pointOf([latitude / unit, longitude / unit]);
    [points[at], points[at + 1]] = [u, v];
    box[0] = Math.min(box[0], u); box[1] = Math.min(box[1], v); box[2] = Math.max(box[2], u); box[3] = Math.max(box[3], v);
  }
  return { points, box };
};
export const outlines = ({ unit, land, borders }) => ({
  land: land.map(steps => lineOf(steps, unit)), borders: borders.map(steps => lineOf(steps, unit)),
});

// The rectangle of a cell of degrees with its south-western corner.
const cellOf = ([south, west, count], degrees) => {
  const [left, lower] = pointOf([south, west]), [right, upper] = pointOf([south + degrees, west + degrees]);
  return { box: [left, upper, right, lower], count };
};

export class MapView {
  #world = { land: [], borders: [] };
  #cells = [];
  #waiting = 0;
  #centre = [0.5, 0.5];
  #scale = 1;

  // `moved` is called after each drawing: what lies above the map moves with it.
  constructor(canvas, moved) {
    this.canvas = canvas;
    this.moved = moved;
  }

  show({ world = this.#world, cells = null }) {
    this.#world = world;
    if (cells) this.#cells = cells.cells.map(cell => cellOf(cell, cells.degrees));
    this.redraw();
  }

  get size() { return [this.canvas.clientWidth, this.canvas.clientHeight]; }
  get scale() { return this.#scale; }
  get centre() { return this.#centre; }

  // Where a point is on the map, in the copy of the world that is nearest to its middle.
  pixelOf(point) {
    const [width, height] = this.size, aside = point[0] - this.#centre[0];
    return [width / 2 + (aside - Math.round(aside)) * this.#scale, height / 2 + (point[1] - this.#centre[1]) * this.#scale];
  }

  pointAt([x, y]) {
    const [width, height] = this.size;
    return [this.#centre[0] + (x - width / 2) / this.#scale, this.#centre[1] + (y - height / 2) / this.#scale];
  }

  // The place at a pixel, as exactly as a pixel says.
  placeAt(pixel) {
    const decimals = within(Math.ceil(Math.log10(this.#scale / 360)), 0, 4);
    const [u, v] = this.pointAt(pixel);
    return placeOf([u, within(v, 0, 1)]).map(degrees => Number(degrees.toFixed(decimals)));
  }

  moveTo(centre, scale = this.#scale) {
    const [width, height] = this.size;
    this.#scale = within(scale, Math.max(width, height), LARGEST);
    const half = height / 2 / this.#scale;
    this.#centre = [centre[0] - Math.floor(centre[0]), within(centre[1], half, 1 - half)];
    this.redraw();
  }

  pan([x, y]) { this.moveTo([this.#centre[0] - x / this.#scale, this.#centre[1] - y / this.#scale]); }

  // Zoom by a factor; what is at `pixel` stays there.
  zoom(factor, pixel = this.size.map(side => side / 2)) {
    const [u, v] = this.pointAt(pixel), [width, height] = this.size;
    const scale = within(this.#scale * factor, Math.max(width, height), LARGEST);
    this.moveTo([u - (pixel[0] - width / 2) / scale, v - (pixel[1] - height / 2) / scale], scale);
  }

  // Show [west, south, east, north]; where east is less than west, the 180th meridian lies between them.
  frame([west, south, east, north]) {
    const [left, lower] = pointOf([south, west]), [right, upper] = pointOf([north, east < west ? east + 360 : east]);
    const [width, height] = this.size, room = 0.8;
    const scale = room * Math.min(width / Math.max(right - left, NEAR), height / Math.max(lower - upper, NEAR));
    // A single place is shown with the country around it.
    this.moveTo([(left + right) / 2, (upper + lower) / 2], Math.min(scale, 60 * width));
  }

  // Once for all changes until the next frame.
  redraw() {
    this.#waiting ||= requestAnimationFrame(() => { this.#waiting = 0; this.#draw(); this.moved(); });
  }

  #draw() {
    const { canvas } = this, [width, height] = this.size, ratio = devicePixelRatio;
    if (!width) return;
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const context = canvas.getContext("2d"), style = getComputedStyle(canvas), colour = name => style.getPropertyValue(name);
    context.scale(ratio, ratio);
    context.fillStyle = colour("--map-sea");
    context.fillRect(0, 0, width, height);
    this.#trace(context, this.#world.land, false);
    context.fillStyle = colour("--map-land");
    context.fill("evenodd");
    this.#drawCells(context, colour("--mark"));
    context.lineWidth = 0.8;
    context.strokeStyle = colour("--map-coast");
    this.#trace(context, this.#world.land, true);
    context.stroke();
    context.setLineDash([3, 3]);
    context.globalAlpha = 0.6;
    this.#trace(context, this.#world.borders, true);
    context.stroke();
  }

  // Copies of the world beside each other, as far as the map shows them: what is added to u.
  *#shifts([left, upper, right, lower]) {
    const [width, height] = this.size, half = [width / 2 / this.#scale, height / 2 / this.#scale];
    if (lower < this.#centre[1] - half[1] || upper > this.#centre[1] + half[1]) return;
    for (const shift of [-1, 0, 1]) {
      if (right + shift >= this.#centre[0] - half[0] && left + shift <= this.#centre[0] + half[0]) yield shift;
    }
  }

  // The lines as the path of a context, without points that fall together. `open`: without the seams of the world, where
  // a ring was closed and no coast is.
  #trace(context, lines, open) {
    const [width, height] = this.size, least = 0.75;
    context.beginPath();
    for (const { points, box } of lines) {
      for (const shift of this.#shifts(box)) {
        const left = width / 2 + (shift - this.#centre[0]) * this.#scale, top = height / 2 - this.#centre[1] * this.#scale;
        let drawn = [Infinity, Infinity], seam = true;
        for (let at = 0; at < points.length; at += 2) {
          const x = left + points[at] * this.#scale, y = top + points[at + 1] * this.#scale, last = at + 2 === points.length;
          if (!last && Math.abs(x - drawn[0]) < least && Math.abs(y - drawn[1]) < least) continue;
          const on = points[at] < NEAR || points[at] > 1 - NEAR && points[at] < 1 + NEAR || points[at + 1] > 1 - NEAR;
          if (at === 0 || open && seam && on) context.moveTo(x, y); else context.lineTo(x, y);
          [drawn, seam] = [[x, y], on];
        }
      }
    }
  }

  // Faint, and fainter the larger they get: they are coarse, and tell nothing about what lies within one.
  #drawCells(context, colour) {
    const [width, height] = this.size, most = Math.log(1 + this.#cells.reduce((high, { count }) => Math.max(high, count), 1));
    context.fillStyle = colour;
    for (const { box: [left, upper, right, lower], count } of this.#cells) {
      const faint = within(30 / (this.#scale * (right - left)), 0.3, 1);
      context.globalAlpha = faint * (0.15 + 0.4 * Math.log(1 + count) / most);
      for (const shift of this.#shifts([left, upper, right, lower])) {
        context.fillRect(width / 2 + (left + shift - this.#centre[0]) * this.#scale, height / 2 + (upper - this.#centre[1]) * this.#scale,
          Math.max(1, (right - left) * this.#scale), Math.max(1, (lower - upper) * this.#scale));
      }
    }
    context.globalAlpha = 1;
  }
}
