// Many photographs: a table that sorts and filters. A row opens its photograph.

import { alarms, CASES, caseOf, decide, warnings } from "./answer.js";
import { byId, make, percent, scientific, sentence } from "./dom.js";

const compare = new Intl.Collator("en", { numeric: true }).compare;
const FILTERS = {
  all: ["All", () => true],
  unsure: ["Not to species", row => row.decided && row.decided.next !== null],
  alarm: ["Alarms and warnings", row => row.item.answer && (alarms(row.item.answer).length > 0 || warnings(row.item.answer).length > 0)],
  failed: ["Without an answer", row => row.item.error !== null],
};
const VALUES = {
  photo: row => row.item.name,
  taxon: row => row.decided?.taxon?.name ?? "",
  rank: row => row.decided ? row.decided.depth : -1,
  probability: row => row.decided ? row.decided.taxon?.probability ?? 0 : -1,
};

const said = ({ item, decided }, placed) => {
  if (item.error !== null) return make("span", { class: "problem", text: sentence(item.error) });
  if (!decided) return make("span", { class: "muted", text: STATES[item.state] });
  return [
    decided.taxon ? scientific(decided.taxon) : make("span", { text: "Not sure" }),
    make("span", { class: "muted small", text: decided.taxon ? ` ${decided.taxon.common_name ?? ""}` : "" }),
    make("span", { class: "narrow muted small", text: decided.taxon?.rank ?? "" }),
    placed && item.answer.prior && make("span", { class: "muted small with", text: CASES[caseOf(item.answer)] }),
    alarms(item.answer).map(taxon => make("span", { class: "flag alarm-flag", text: `! Alarm: ${taxon.name}` })),
    warnings(item.answer).map(warning => make("span", { class: "flag", title: warning.text, text: WARNINGS[warning.kind] ?? "warning" })),
  ];
};
const STATES = { asking: "Looking …", waiting: "Waiting", stopped: "Not asked: stopped" };
const WARNINGS = { novelty: "unlike anything learnt", within: "contradicts what you said", joint: "see its warning", place: "place not used" };

const line = (row, { open, placed }) => {
  const { item, decided } = row;
  const image = make("img", { src: item.preview ?? item.url, alt: "", decoding: "async" });
  // No picture, or of a kind that browsers do not show.
  image.addEventListener("error", () => image.remove(), { once: true });
  return make("tr", { class: item.state, "data-item": item.id, onclick: () => open(item) },
    make("th", { scope: "row" }, make("button", {
      type: "button", class: "plain", title: item.name, onclick: event => { event.stopPropagation(); open(item); },
    }, make("span", { class: "thumb" }, image), make("span", { class: "file-name", text: item.name }))),
    make("td", { class: "said" }, said(row, placed()), make("span", { class: "narrow muted small", "aria-hidden": "true", text: item.name })),
    make("td", { class: "rank-column", text: decided?.taxon?.rank ?? "" }),
    make("td", { class: "number", text: decided?.taxon ? percent(decided.taxon.probability) : "" }));
};

// `rows` gives {item, decided} in the order of arrival; `open` is called with an item; `placed` tells whether place or date
// are used, so that each row says whether they were there.
export const batchTable = ({ rows, open, placed }) => {
  const table = byId("batch"), filter = byId("filter"), heads = [...table.querySelectorAll("th[data-sort]")];
  let sort = null, direction = 1;

  const count = all => {
    const chosen = filter.value || "all";
    filter.replaceChildren(...Object.entries(FILTERS).map(([name, [text, keep]]) =>
      make("option", { value: name, text: `${text} (${all.filter(keep).length})`, selected: name === chosen })));
  };
  const draw = () => {
    const all = rows();
    count(all);
    const shown = all.filter(FILTERS[filter.value][1]), value = VALUES[sort];
    // Rows come in the order of arrival, which stays among equals.
    if (value) shown.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      return direction * (typeof one === "string" ? compare(one, other) : one - other);
    });
    const focused = document.activeElement?.closest?.("#batch tbody tr")?.dataset.item;
    table.tBodies[0].replaceChildren(...shown.map(row => line(row, { open, placed })));
    byId("none").hidden = shown.length > 0;
    if (focused) focus(focused);
  };
  const focus = id => table.querySelector(`tr[data-item="${id}"] button`)?.focus();

  filter.addEventListener("change", draw);
  heads.forEach(head => head.firstElementChild.addEventListener("click", () => {
    direction = head.dataset.sort === sort ? -direction : head.classList.contains("number") ? -1 : 1;
    sort = head.dataset.sort;
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    draw();
  }));
  return { draw, focus };
};
