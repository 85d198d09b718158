// The page: what it holds (photographs, question, target, models) and which part shows it.

import { alarms, caseOf, decide, position, targets } from "./answer.js";
import * as about from "./about.js";
import * as api from "./api.js";
import { Asking } from "./asking.js";
import { batchTable } from "./batch.js";
import { drawDetail, spoken } from "./detail.js";
import { byId, make, notice, say, times, withdraw } from "./dom.js";
import { takeIn } from "./intake.js";
import { placePanel } from "./place_panel.js";
import { taxonField } from "./taxon_field.js";

const FORMATS = {
  csv: "CSV table", parquet: "Parquet table", jsonl: "JSON lines", "darwin-core": "Darwin Core", "camtrap-dp": "Camtrap DP",
  timelapse: "Timelapse JSON",
};
const models = new Map();
let model = null, photos = [], items = [], wanted = null, target = null, prior = [], watch = [], detail = null, counter = 0, told = null;
const key = ({ name, version }) => `${name}/${version}`;
const modelOf = answer => models.get(key(answer.model)) ?? model;

const readModel = async () => {
  model = await api.model();
  models.set(key(model), model);
  about.describe(model);
  place.of(model.places);
  wanted ??= model.thresholds.targets[position(model.thresholds, model.target)];
  fitSlider();
};

// The slider offers what can be promised in the cases that the shown answers are of.
let steps = [];
const fitSlider = () => {
  const item = opened(), shown = (item ? [item] : items).filter(each => each.answer), slider = byId("target");
  const next = targets(model, new Set(shown.length ? shown.map(each => caseOf(each.answer)) : ["neither"]));
  if (String(next) === String(steps)) return;
  steps = next;
  slider.max = String(steps.length - 1);
  // The nearest step to what the person wants.
  const near = steps.findIndex(step => step >= wanted);
  slider.value = String(near < 0 ? steps.length - 1 : near);
  if (steps[slider.value] !== target) moveTo(steps[slider.value]);
};

const answeredBy = async ({ name, version }) => {
  if (models.has(key({ name, version })) && key({ name, version }) === key(model)) return;
  await readModel();
  const older = items.some(item => item.answer && key(item.answer.model) !== key(model));
  notice("model", `A new version of the model answers now: ${model.name} version ${model.version}.`,
    older ? { text: "Ask it about all photographs", run: askAll } : null);
};

const asking = new Asking({
  question: item => ({ within: prior, watch, ...place.question(), ...(item.region ? { region: item.region } : {}) }),
  version: () => key(model),
  limits: () => model.limits,
  changed: chunk => show(chunk),
  answeredBy: by => answeredBy(by),
});

const askAll = () => {
  asking.stop();
  told = null;
  if (items.length) asking.add(items);
  show(items);
};

const itemOf = (files, name) => {
  const urls = files.map(photo => photo.url);
  return {
    id: String(++counter), name, files: files.map(photo => photo.file), url: urls[0], urls, preview: null,
    region: null, state: "waiting", answer: null, error: null, known: new Map(),
  };
};

const add = async files => {
  if (!files.length) return;
  try {
    // A server that was not ready when the page opened may be by now.
    if (!model) await readModel();
  } catch (error) {
    return notice("model", error.message);
  }
  withdraw("together");
  const fresh = files.map(file => ({ file, url: URL.createObjectURL(file) }));
  photos.push(...fresh);
  told = null;
  if (byId("together").checked) return together();
  const made = fresh.map(photo => itemOf([photo], photo.file.name));
  items.push(...made);
  asking.add(made);
  if (items.length > 1 && made.length > 0) open(null);
  show(items);
};

// One item of all photographs, or one of each.
const together = () => {
  asking.stop();
  const most = model.limits.files;
  if (byId("together").checked && photos.length > most) {
    byId("together").checked = false;
    notice("together", `One organism may have up to ${most} photographs here, and there are ${photos.length}.`);
  }
  items = byId("together").checked && photos.length > 1 ? [itemOf(photos, `${photos.length} photographs of one organism`)]
    : photos.map(photo => itemOf([photo], photo.file.name));
  open(null);
  askAll();
};

const clear = () => {
  asking.stop();
  photos.forEach(photo => URL.revokeObjectURL(photo.url));
  [photos, items] = [[], []];
  byId("together").checked = false;
  open(null);
  show([]);
  byId("choose").focus();
};

// Which item is open is part of the address: the browser's way back leads back.
const opened = () => items.length === 1 ? items[0] : items.find(item => location.hash === `#photograph-${item.id}`) ?? null;
const open = item => {
  const wanted = item ? `#photograph-${item.id}` : "";
  if (location.hash !== wanted) history.pushState(null, "", wanted || location.pathname);
};

const rowOf = item => ({ item, decided: item.answer ? decide(item.answer, target, modelOf(item.answer)) : null });
const table = batchTable({
  rows: () => items.map(rowOf),
  placed: () => Object.keys(place.question()).length > 0,
  open: item => { open(item); show([item]); byId("answer-title").focus(); scrollTo({ top: 0 }); },
});

const show = changed => {
  const item = opened(), some = items.length > 0;
  document.body.classList.toggle("has-photographs", some);
  byId("add-title").textContent = some ? "Add photographs" : "What did you see?";
  for (const [id, shown] of [["settings", some], ["place", some && model?.places], ["place-none", some && model && !model.places], ["tools", items.some(each => each.answer)], ["list", some && !item],
    ["detail", item], ["together-setting", photos.length > 1]]) byId(id).hidden = !shown;
  if (model) fitSlider();
  if (!byId("list").hidden) table.draw();
  progress();
  if (item && (detail?.item !== item || changed.includes(item))) drawItem(item);
  if (!item) { detail?.drawing.end(); detail = null; }
  if (!asking.busy) tell();
};

const drawItem = item => {
  detail?.drawing.end();
  const focused = byId("detail").contains(document.activeElement) ? document.activeElement.id : null;
  const back = items.length > 1 ? walk(item) : null;
  const ask = region => { item.region = region; told = null; asking.add([item]); };
  detail = { item, drawing: drawDetail(byId("detail"), item, {
    target, model: item.answer ? modelOf(item.answer) : model, back, ask,
  }) };
  if (focused) (byId(focused) ?? byId("answer-title")).focus();
};

// Back to the table, or on to the next photograph.
const walk = item => {
  const place = items.indexOf(item), to = next => { open(next); show([next]); byId("answer-title").focus(); };
  return make("nav", { class: "row between", "aria-label": "Photographs" },
    make("button", { type: "button", id: "back", text: `← All ${items.length} photographs`, onclick: () => {
      open(null); show([]); table.focus(item.id);
    } }),
    make("div", { class: "row" },
      make("button", { type: "button", id: "previous", text: "Previous", disabled: place === 0, onclick: () => to(items[place - 1]) }),
      make("button", { type: "button", id: "next", text: "Next", disabled: place === items.length - 1, onclick: () => to(items[place + 1]) })));
};

const progress = () => {
  const done = items.filter(item => !["waiting", "asking"].includes(item.state)).length;
  byId("progress-row").hidden = !asking.busy || items.length < 2;
  byId("progress").max = items.length;
  byId("progress").value = done;
  byId("progress-said").textContent = `${done} of ${items.length} answered`;
};

// Say once what has come of the photographs.
const tell = () => {
  const done = items.filter(item => item.answer || item.error !== null);
  if (!done.length) return void (told = null);
  const failed = done.filter(item => item.error !== null).length, alarming = done.filter(item => item.answer && alarms(item.answer).length);
  const sentence = items.length === 1 ? spoken(items[0], target, items[0].answer ? modelOf(items[0].answer) : model)
    : `${done.length - failed} photographs answered${failed ? `, ${failed} without an answer` : ""}`;
  if (sentence === told) return;
  told = sentence;
  say(sentence);
  if (items.length > 1 && alarming.length) notice("alarm",
    `Alarm: ${alarming.length === 1 ? "one photograph" : `${alarming.length} photographs`} may show a watched taxon.`,
    { text: alarming.length === 1 ? "Show it" : "Show them", run: () => { open(null); byId("filter").value = "alarm"; show([]); byId("list-title").scrollIntoView(); } });
  else withdraw("alarm");
};

// Another target: nothing is asked, all is here.
let saying = 0;
const moveTo = next => {
  target = next;
  byId("target-said").textContent = times(target);
  byId("target").setAttribute("aria-valuetext", times(target));
  if (!byId("list").hidden) table.draw();
  detail?.drawing.move(target);
  clearTimeout(saying);
  if (detail?.item.answer) saying = setTimeout(() => say(spoken(detail.item, target, modelOf(detail.item.answer))), 400);
};

// Answers are saved as the server itself gives them at the chosen target, which may mean to ask again.
const save = async () => {
  const button = byId("export"), format = byId("format").value;
  button.disabled = true;
  try {
    const answers = [];
    for (const item of items) {
      if (item.answer && !rowOf(item).decided.asServed) {
        const question = { ...asking.question(item), target };
        const again = await api.identify(item.files, { question, together: item.files.length > 1 });
        await answeredBy(again.model);
        answers.push(again.answers[0]);
      } else if (item.answer || item.error !== null) answers.push(item.answer ?? { photo: item.name, error: item.error });
      button.textContent = `Saving ${answers.length} of ${items.length}`;
    }
    const { name, blob } = await api.exported(format, answers);
    const anchor = make("a", { href: URL.createObjectURL(blob), download: name });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
    say(`Saved ${name}`);
  } catch (error) {
    notice("export", `The answers were not saved. ${error.message}`);
  } finally {
    button.disabled = false;
    button.textContent = "Save answers";
  }
};

byId("target").addEventListener("input", event => { wanted = steps[event.target.value]; moveTo(wanted); });
byId("together").addEventListener("change", together);
byId("stop").addEventListener("click", () => { asking.stop(); show(items); });
byId("clear").addEventListener("click", clear);
byId("export").addEventListener("click", save);
byId("model-open").addEventListener("click", () => byId("model").showModal());
byId("model-close").addEventListener("click", () => byId("model").close());
addEventListener("popstate", () => show([]));
byId("format").append(...Object.entries(FORMATS).map(([value, text]) => make("option", { value, text })));
taxonField({ id: "prior", said: names => `Only ${names} is considered`, changed: names => { prior = names; askAll(); } });
taxonField({ id: "watch", said: names => `${names} will raise an alarm`, changed: names => { watch = names; askAll(); } });
const place = placePanel({ changed: () => askAll() });
takeIn(add);
// Where there is room, all settings are in view.
const roomy = matchMedia("(min-width: 56rem)");
const fit = () => { byId("known").open = roomy.matches || prior.length + watch.length > 0; };
roomy.addEventListener("change", fit);
fit();
open(null);
show([]);
readModel().catch(error => notice("model", error.message));
