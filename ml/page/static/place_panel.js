// Place and season: what a person says of them, the switch that uses them, and in words what is used.

import * as api from "./api.js";
import { byId, make, say, sentence } from "./dom.js";
import { outlines } from "./map_view.js";
import { placeMap } from "./place_map.js";

const TYPED = 400;
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", timeZone: "UTC" });

export const coordinates = ([latitude, longitude]) =>
  `${Math.abs(latitude)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude)}° ${longitude < 0 ? "W" : "E"}`;

// What is used, of a place, a date and what photographs themselves say.
const uses = ({ place, date, exif }) => {
  if (place && date) return "place and date";
  if (place) return exif ? "place, and the date of each photograph" : "place only";
  if (exif) return date ? "the place of each photograph, and the date" : "place and date of each photograph";
  return null;
};

// `changed` is called when the question is another one.
export const placePanel = ({ changed }) => {
  const field = byId("place-text"), day = byId("place-date"), exif = byId("place-exif"), use = byId("place-use"), problem = byId("place-problem");
  let place = null, known = null, asked = "{}", drawn = null, world = null, turn = 0, typing = 0;
  const said = () => ({ place, date: day.value, exif: exif.checked });

  // The part of a question that is about place and season.
  const question = () => !known || !use.checked ? {} : {
    ...(place ? { place } : {}), ...(day.value ? { date: day.value } : {}), ...(exif.checked ? { exif: true } : {}),
  };
  const state = () => {
    const used = uses(said());
    if (!use.checked) return ["Off", "the photograph alone answers"];
    return used ? ["On", used] : ["On, without a place", "the photograph alone answers"];
  };
  const draw = () => {
    const [turned, what] = state();
    byId("place-state").replaceChildren(make("strong", { text: turned }), `: ${what}`);
    byId("place-bar").dataset.used = String(use.checked && uses(said()) !== null);
    byId("place-said").textContent = [place && coordinates(place), day.value && DAY.format(new Date(day.value))].filter(Boolean).join(" · ");
    byId("place-clear").hidden = !place;
  };
  // Draw, and ask again where it makes a difference.
  const settle = () => {
    draw();
    const next = JSON.stringify(question());
    if (next === asked) return;
    asked = next;
    say(`Place and season: ${state().join(", ")}`);
    changed();
  };
  const complain = text => {
    problem.textContent = text ? sentence(text) : "";
    problem.hidden = !text;
    field.setAttribute("aria-invalid", String(Boolean(text)));
  };
  // A place that a person sets is meant to be used.
  const set = (next, { written = false } = {}) => {
    place = next;
    turn++;
    if (!written || next) field.value = next ? next.join(", ") : "";
    complain(null);
    if (next) use.checked = true;
    map.set(place, { look: written });
    settle();
  };
  const map = placeMap({ chosen: next => set(next) });

  // What people write or paste is read by the server, as everywhere else.
  const read = async () => {
    const text = field.value.trim(), mine = ++turn;
    if (!text) return set(null);
    try {
      const { place: found, problem: reason } = await api.place(text);
      if (mine !== turn) return;
      if (found) set(found, { written: true }); else complain(reason);
    } catch (error) {
      if (mine === turn) complain(error.message);
    }
  };
  const locate = () => {
    const button = byId("place-here"), mine = ++turn;
    button.disabled = true;
    navigator.geolocation.getCurrentPosition(({ coords }) => {
      button.disabled = false;
      if (mine === turn) set([coords.latitude, coords.longitude].map(degrees => Number(degrees.toFixed(4))), { written: true });
    }, error => {
      button.disabled = false;
      complain(error.code === error.PERMISSION_DENIED ? "the browser was not allowed to say where you are" : "the browser does not know where you are");
    }, { timeout: 20_000, maximumAge: 60_000 });
  };
  const open = shown => {
    byId("place-panel").hidden = !shown;
    byId("place").classList.toggle("open", shown);
    byId("place-open").setAttribute("aria-expanded", String(shown));
    byId("place-open").textContent = shown ? "Close" : "Choose";
    byId("place-open").setAttribute("aria-label", shown ? "Close the map" : "Choose place and date");
    if (shown) load();
  };
  // Coasts once, cells once a version; both only when somebody looks at the map.
  const load = async () => {
    if (drawn === known) return;
    const mine = drawn = known;
    map.around(mine.bounds);
    try {
      world ??= api.coastline().then(outlines, error => { world = null; throw error; });
      map.draw({ world: await world, cells: null });
      const cells = await api.occurrences();
      if (mine === known) map.draw({ world: await world, cells });
    } catch (error) {
      drawn = null;
      complain(`the map cannot be drawn: ${error.message}`);
    }
  };

  field.addEventListener("change", read);
  field.addEventListener("keydown", event => { if (event.key === "Enter") read(); });
  // A year that is being typed is another year at each figure.
  day.addEventListener("change", () => {
    clearTimeout(typing);
    typing = setTimeout(() => { if (day.value && place) use.checked = true; settle(); }, TYPED);
  });
  exif.addEventListener("change", () => { if (exif.checked) use.checked = true; settle(); });
  use.addEventListener("change", () => {
    settle();
    // There is nothing to use yet: here it is said.
    if (use.checked && !uses(said())) { open(true); field.focus(); }
  });
  byId("place-open").addEventListener("click", () => open(byId("place-panel").hidden));
  byId("place-clear").addEventListener("click", () => { set(null); field.focus(); });
  byId("place-here").hidden = !("geolocation" in navigator) || !isSecureContext;
  byId("place-here").addEventListener("click", locate);
  draw();

  return {
    question,
    // The places that a version knows; null where it knows none.
    of: places => {
      known = places;
      if (!places) open(false);
      else if (!byId("place-panel").hidden) load();
      asked = JSON.stringify(question());
      draw();
    },
  };
};
