// One photograph: what the network sees of it, the answer with its reason, and what else it could be.

import { alarms, CASES, caseOf, decide, effect, named, promised, stopped, warnings } from "./answer.js";
import * as api from "./api.js";
import { bar, link, make, percent, scientific, sentence } from "./dom.js";
import { exampleFigures } from "./examples.js";
import { regionEditor } from "./region.js";

const EXAMPLES = 2;
// What is promised, and apart from it how that was measured, which stands in brackets.
const promise = text => {
  const [, words, measured] = /^(.*?)(?: \((.*)\))?$/s.exec(text);
  return [make("strong", { text: sentence(words) }), measured && make("span", { class: "muted small", text: ` ${sentence(measured)}` })];
};

// A step of the lineage: rank, name, bar, probability. A line on the bar is the probability that is asked for.
const step = (taxon, { answered, last, threshold }) => {
  const length = bar(taxon.probability);
  if (threshold !== null) {
    const mark = make("span", { class: "asked" });
    mark.style.insetInlineStart = `${100 * threshold}%`;
    length.append(mark);
  }
  return make("li", { class: [answered ? "answered" : "open", last && "last"].filter(Boolean).join(" ") },
    make("span", { class: "rank", text: taxon.rank }),
    make("span", { class: "name" }, scientific(taxon),
      taxon.common_name && make("span", { class: "common", text: ` ${taxon.common_name}` }),
      last && make("span", { class: "tag", text: "the answer stops here" }),
      !answered && make("span", { class: "sr", text: ", not answered" })),
    make("span", { class: "share", text: percent(taxon.probability) }),
    length);
};

const alarmBox = answer => alarms(answer).map(taxon => make("div", { class: "alarm", role: "alert" },
  make("span", { class: "sign", "aria-hidden": "true", text: "!" }),
  make("div", {},
    make("strong", {}, "Alarm: this may be ", scientific(taxon), "."),
    make("p", {}, `It is on the watch list (${taxon.lineage}). Probability ${percent(taxon.probability)}; `
      + `the alarm is raised from ${percent(taxon.threshold)}${taxon.basis === "asked" ? ", which was not calibrated" : ""}.`))));

// With what beside the photograph this was answered, and what that did.
const beside = (answer, decided) => answer.prior && make("p", { class: "beside" },
  make("span", { class: "case", "data-case": caseOf(answer), text: CASES[caseOf(answer)] }), " ",
  sentence(effect(answer, decided)));

// The part that moves with the slider.
const verdict = (answer, target, model, region) => {
  const decided = decide(answer, target, model), { taxon, depth } = decided;
  const asked = answer.rule === "threshold" ? decided.threshold : null;
  const address = taxon?.gbif ?? (decided.asServed ? answer.gbif : null);
  return [
    make("p", { class: "rank-said", text: taxon ? taxon.rank : "No answer that can be promised" }),
    make("h2", { id: "answer-title", tabindex: -1 },
      taxon ? [scientific(taxon), " ", make("span", { class: "figure", text: percent(taxon.probability) })] : "Not sure"),
    taxon?.common_name && make("p", { class: "common", text: taxon.common_name }),
    beside(answer, decided),
    make("p", { class: "promise" }, promise(promised(answer, decided, target, region))),
    make("p", { class: "stop" }, sentence(stopped(answer, decided)), " ", address && link("GBIF", address, `${taxon.name} at GBIF`)),
    make("h3", { text: "From kingdom to species" }),
    make("ol", { class: "tree", role: "list" }, answer.path.map((each, position) => step(each, {
      answered: position < depth, last: position === depth - 1, threshold: asked,
    }))),
    make("p", { class: "muted small" },
      asked !== null && `The mark on each bar is the probability that this setting asks for: ${percent(asked)}. `,
      answer.path.some(each => each.probability < 0.5)
        && "Below one half, the likeliest taxon of a rank may lie outside the one above it."),
  ].filter(Boolean);
};

// What the photograph alone said of a species.
const before = taxon => make("div", { class: "before" }, bar(taxon.probability_alone),
  make("p", { class: "muted small" }, `Photograph alone: ${percent(taxon.probability_alone)}`));

const possible = (answer, draws) => make("section", { class: "card", "aria-labelledby": "possible-title" },
  make("h3", { id: "possible-title", text: "The likeliest species" }),
  make("ol", { class: "species", role: "list" }, answer.top.map(taxon => {
    const pictures = make("div", { class: "examples" });
    draws.push(exampleFigures(taxon, EXAMPLES).then(figures => pictures.replaceChildren(...figures)));
    return make("li", {},
      make("div", { class: "species-name" }, make("strong", {}, scientific(taxon)),
        make("span", { class: "share", text: percent(taxon.probability) })),
      bar(taxon.probability),
      answer.prior?.used && before(taxon),
      make("p", { class: "muted small" }, taxon.common_name, taxon.common_name && taxon.gbif && " · ",
        link("GBIF", taxon.gbif, `${taxon.name} at GBIF`)),
      pictures);
  })));

// The photograph with its region, and the views that the network gets.
const picture = (item, { ask, signal, shown }) => {
  const image = make("img", { src: item.preview ?? item.url, alt: `The photograph ${item.name}`, draggable: "false" });
  const look = async region => {
    try {
      const seen = await api.views(item.files[0], { region, signal });
      if (image.naturalWidth === 0 && seen.photo) { item.preview = seen.photo; image.src = seen.photo; }
      shown.replaceChildren(make("figcaption", { text: "What the network sees" }),
        make("div", { class: "row" }, seen.views.map((view, position) => make("img", {
          src: view.image, alt: `View ${position + 1} of ${seen.views.length}, as the network gets it`,
        }))));
    } catch (error) {
      if (!signal.aborted) shown.replaceChildren(make("p", { class: "muted", text: `No views: ${error.message}` }));
    }
  };
  image.addEventListener("error", () => { if (!item.preview) image.classList.add("unshown"); });
  image.addEventListener("load", () => image.classList.remove("unshown"));
  // A file that is no photograph has no views.
  if (!item.answer) return [make("div", { class: "stage" }, image)];
  look(item.region);
  const { stage, controls } = regionEditor({ image, region: item.region, asked: item.region, settled: look, ask });
  return [stage, controls];
};

const organism = item => [make("div", { class: "strip" }, item.urls.map((url, position) =>
  make("img", { src: url, alt: `Photograph ${position + 1} of ${item.files.length}: ${item.files[position].name}` })))];

// Draw `item` into `place`; returns what moves the answer to another target, and what ends its requests.
export const drawDetail = (place, item, { target, model, back, ask }) => {
  const ending = new AbortController(), draws = [], { answer } = item;
  const views = make("figure", { class: "views" });
  const photo = make("div", { class: "photo" },
    item.files.length > 1 ? organism(item) : picture(item, { ask, signal: ending.signal, shown: views }),
    make("p", { class: "muted small file-name", text: item.name }));
  const said = make("div", { class: "verdict" });
  const move = to => said.replaceChildren(...verdict(answer, to, model, item.region));
  if (answer) move(target);
  else said.append(make("h2", { id: "answer-title", tabindex: -1, text: item.error ? "No answer" : "Looking …" }),
    make("p", { class: item.error ? "problem" : "muted", text: item.error ? sentence(item.error) : "The network is at work." }));
  place.replaceChildren(...[
    back,
    answer && alarmBox(answer),
    make("div", { class: `card pair ${item.state}` }, photo, make("div", { class: "told" }, said,
      answer && warnings(answer).map(warning => make("p", { class: "note", "data-warning": warning.kind },
        make("strong", { text: "Take care. " }), sentence(warning.text))),
      answer && make("p", { class: "muted small", text: `Answered by ${answer.model.name} version ${answer.model.version}.` })),
    views),
    answer?.top.length ? possible(answer, draws) : null,
  ].flat().filter(Boolean));
  return { move: answer ? move : () => {}, end: () => ending.abort(), drawn: Promise.all(draws) };
};

// What a screen reader says of an item.
export const spoken = (item, target, model) => item.error ? `No answer: ${item.error}`
  : `Answer: ${named(decide(item.answer, target, model).taxon)}${alarms(item.answer).length ? ". Alarm: a watched taxon" : ""}`;
