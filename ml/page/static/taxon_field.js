// Taxa that a person chooses by name: a combobox (ARIA's pattern with a list) and a chip for each taxon.

import * as api from "./api.js";
import { byId, make, say } from "./dom.js";

const WAIT = 120;

// How the question names a taxon: by its key, or by its whole lineage where it has none.
const nameOf = taxon => taxon.taxon_key ?? lineageOf(taxon);
const lineageOf = taxon => Array.isArray(taxon.lineage)
  ? taxon.lineage.map(step => step.name ?? step).join(" > ") : taxon.lineage;

// The field `id`, with the list `ID-list` and the chips `ID-chips`. `changed` is called with the names that a question
// takes; `said` makes a sentence of the names that people read.
export const taxonField = ({ id, said, changed }) => {
  const input = byId(id), list = byId(`${id}-list`), chips = byId(`${id}-chips`), empty = input.placeholder;
  let chosen = [], offered = [], active = -1, timer = 0, asking = null;

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = position => {
    active = position;
    [...list.children].forEach((option, each) => option.setAttribute("aria-selected", String(each === position)));
    const option = list.children[position];
    if (!option) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const offer = taxa => {
    offered = taxa.filter(taxon => !chosen.some(each => nameOf(each) === nameOf(taxon)));
    list.replaceChildren(...offered.map((taxon, position) => make("li", {
      role: "option", id: `${id}-${position}`, "aria-selected": "false",
      // Before the field loses the focus.
      onpointerdown: event => event.preventDefault(), onclick: () => choose(position),
    },
    make("strong", { text: taxon.name, translate: "no" }), " ",
    make("span", { class: "muted", text: [taxon.rank, taxon.common_name,
      taxon.rank === "species" ? null : `${taxon.species} species`].filter(Boolean).join(" · ") }))));
    if (!offered.length) return void (close(), say("No such taxon"));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    input.removeAttribute("aria-activedescendant");
    active = -1;
    say(`${offered.length} taxa offered`);
  };
  const ask = async () => {
    asking?.abort();
    const query = input.value.trim();
    if (!query) return close();
    asking = new AbortController();
    const { signal } = asking;
    try {
      const taxa = await api.taxa(query, signal);
      if (!signal.aborted) offer(taxa);
    } catch (error) {
      if (!signal.aborted) { close(); say(error.message); }
    }
  };
  const draw = () => {
    chips.replaceChildren(...chosen.map(taxon => make("li", {}, make("button", {
      type: "button", "aria-label": `Remove ${taxon.name}`, onclick: () => remove(taxon),
    }, make("span", { text: taxon.name, translate: "no" }), make("span", { "aria-hidden": "true", class: "cross", text: "×" })))));
    chips.hidden = !chosen.length;
    input.placeholder = chosen.length ? "Or …" : empty;
    changed(chosen.map(nameOf));
  };
  const choose = position => {
    const taxon = offered[position];
    chosen = [...chosen, taxon];
    input.value = "";
    close();
    draw();
    say(said(chosen.map(each => each.name).join(" or ")));
  };
  const remove = taxon => {
    chosen = chosen.filter(each => each !== taxon);
    draw();
    input.focus();
    say(`${taxon.name} removed`);
  };

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, WAIT); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", event => {
    const open = !list.hidden, last = offered.length - 1;
    const keys = {
      ArrowDown: () => open ? mark(active >= last ? 0 : active + 1) : ask(),
      ArrowUp: () => open && mark(active <= 0 ? last : active - 1),
      Enter: () => open && choose(Math.max(0, active)),
      Escape: () => open ? close() : (input.value = ""),
      Backspace: () => input.value || !chosen.length ? true : remove(chosen.at(-1)),
    };
    // What the field does itself is left to it.
    if (!(event.key in keys)) return;
    if (keys[event.key]() !== true && event.key !== "Backspace") event.preventDefault();
  });
};
