// What an answer says at another promised accuracy: the rule of `ml.specificity.answers.select`, in the browser.
//
// Of each depth the version's rule has one candidate (`path`), with a score that never rises with depth. The answer at
// the threshold t is the deepest candidate with a score of at least t; without one it is the root: not sure.

import { apart, percent, times } from "./dom.js";

// The server compares numbers rounded like this (`ml.specificity.operating_points.DECIMALS`).
const rounded = number => Math.round(number * 1e12) / 1e12;

// What was known beside the photograph when the answer was chosen: `neither`, `place` or `place_and_date`.
export const caseOf = answer => answer.prior?.case ?? "neither";
export const CASES = { neither: "Photograph alone", place: "Place only", place_and_date: "Place and date" };

// The table of thresholds of a case.
const tableOf = (model, which) => model.places?.thresholds[which] ?? model.thresholds;

// The targets that can be promised to some photographs of these cases, and what the version was calibrated for; rising.
export const targets = (model, cases = new Set(["neither"])) => {
  const all = new Set([model.thresholds.targets[position(model.thresholds, model.target)]]);
  for (const which of cases) {
    const { targets: tabulated, reachable } = tableOf(model, which);
    tabulated.forEach((target, row) => { if (reachable[row].some(Boolean)) all.add(target); });
  }
  return [...all].sort((one, other) => one - other);
};

// The row of the lowest tabulated target that is at least `target`.
export const position = ({ targets: all }, target) => {
  const row = all.findIndex(each => rounded(each) >= rounded(target));
  return row < 0 ? all.length - 1 : row;
};

// The answer at `target`; `taxon` is null where it is not sure, `next` where nothing is deeper. `asServed`: it is the
// very answer that the server gave.
export const decide = (answer, target, model) => {
  // An answer to several photographs has a table of its own.
  const table = answer.thresholds ?? tableOf(model, caseOf(answer)), row = position(table, target);
  const [threshold, reachable] = answer.thresholds ? [table.thresholds[row], table.reachable[row]]
    : [table.thresholds[row][answer.group], table.reachable[row][answer.group]];
  const depth = answer.path.filter(step => rounded(step.score) >= rounded(threshold)).length;
  return {
    taxon: depth ? answer.path[depth - 1] : null,
    depth,
    next: answer.path[depth] ?? null,
    threshold,
    reachable,
    promise: answer.thresholds ? null : table.promises[row][answer.group],
    asServed: answer.target !== null && position(table, answer.target) === row,
  };
};

// In words, for people and screen readers.
export const named = (taxon, probability = true) => taxon
  ? `${taxon.rank} ${taxon.name}${probability ? `, ${percent(taxon.probability)}` : ""}` : "not sure";

// Where the answer stops, and why.
export const stopped = (answer, decided) => {
  if (decided.asServed) return answer.stop.text;
  const { taxon, next, threshold } = decided, { rule } = answer, shown = next ?? taxon;
  const [found, asked] = apart(shown.probability, threshold);
  const has = rule === "threshold" ? `${shown.name} has ${found}, and ${asked} are asked for`
    : `${shown.name} scores ${shown.score.toFixed(2)} by the ${rule} rule, and ${threshold.toFixed(2)} is asked for`;
  if (!next) return `goes down to the ${taxon.rank}: ${has}`;
  return taxon ? `stops at the ${taxon.rank}: ${has}` : `names nothing: the ${next.rank} ${has}`;
};

// What is promised about answers like this one.
export const promised = (answer, decided, target, region) => {
  if (decided.asServed) return answer.promise.text;
  if (answer.photos && answer.promise.accuracy === null) return `nothing is promised about ${answer.photos.length} photographs of one organism`;
  if (!decided.reachable) return `nothing is promised: ${times(target)} is out of reach for photographs like this one`;
  // What was measured was measured on whole photographs of any taxon.
  if (answer.within.length || region) return `set to be right ${times(target)}, but nothing is promised for taxa or parts that you chose`;
  return decided.promise ?? `right ${times(target)} at this setting`;
};

// What place and season did to the answer, or why they did nothing; null where the version knows no places.
export const effect = (answer, decided) => {
  if (!answer.prior) return null;
  return answer.prior.used && !decided.asServed ? "what they did to the probabilities is shown below" : answer.prior.text;
};

export const alarms = answer => (answer.watch ?? []).filter(taxon => taxon.alarm);

// Warnings in words: those that the server gave, without the alarms and what place and season did, which are shown apart.
export const warnings = answer => (answer.warnings ?? []).filter(({ kind }) => kind !== "watch" && !(kind === "place" && answer.prior));
