// What an answer says at another promised accuracy: the rule of `ml.specificity.answers.select`, in the browser.
//
// Of each depth the version's rule has one candidate (`path`), with a score that never rises with depth. The answer at
// the threshold t is the deepest candidate with a score of at least t; without one it is the root: not sure.

import { percent, times } from "./dom.js";

// The server compares numbers rounded like this (`ml.specificity.operating_points.DECIMALS`).
const rounded = number => Math.round(number * 1e12) / 1e12;

// The targets that can be promised to some photographs, and what the version was calibrated for; rising.
export const targets = model => {
  const { targets: all, reachable } = model.thresholds;
  const usual = all[position(model, model.target)];
  return all.filter((target, row) => reachable[row].some(Boolean) || target === usual);
};

// The row of the lowest tabulated target that is at least `target`.
export const position = (model, target) => {
  const row = model.thresholds.targets.findIndex(each => rounded(each) >= rounded(target));
  return row < 0 ? model.thresholds.targets.length - 1 : row;
};

// The answer at `target`: {taxon, depth, next, threshold, reachable, whole}; `taxon` is null where it is not sure.
export const decide = (answer, target, model) => {
  const row = position(model, target);
  // Several photographs of one organism have thresholds of their own.
  const threshold = answer.thresholds?.thresholds[row] ?? model.thresholds.thresholds[row][answer.group];
  const depth = answer.path.filter(step => rounded(step.score) >= rounded(threshold)).length;
  return {
    taxon: depth ? answer.path[depth - 1] : null,
    depth,
    next: answer.path[depth] ?? null,
    threshold,
    reachable: answer.thresholds?.reachable[row] ?? model.thresholds.reachable[row][answer.group],
    asServed: answer.target !== null && position(model, answer.target) === row,
  };
};

// In words, for people and screen readers.
export const named = (taxon, probability = true) => taxon
  ? `${taxon.rank} ${taxon.name}${probability ? `, ${percent(taxon.probability)}` : ""}` : "not sure";

// Where the answer stops, and why.
export const stopped = (answer, decided, model) => {
  if (decided.asServed) return answer.stop.text;
  const { taxon, next, threshold } = decided, { rule } = model.thresholds, shown = next ?? taxon;
  const has = rule === "threshold" ? `${shown.name} has ${percent(shown.probability)}, and ${percent(threshold)} are asked for`
    : `${shown.name} scores ${shown.score.toFixed(2)} by the ${rule} rule, and ${threshold.toFixed(2)} is asked for`;
  if (!next) return `goes down to the ${taxon.rank}: ${has}`;
  return taxon ? `stops at the ${taxon.rank}: ${has}` : `names nothing: the ${next.rank} ${has}`;
};

// What is promised about answers like this one.
export const promised = (answer, decided, target, region) => {
  if (decided.asServed) return answer.promise.text;
  if (!decided.reachable) return `nothing is promised: ${times(target)} is out of reach for photographs like this one`;
  // What was measured was measured on whole photographs of any taxon.
  if (answer.within.length || region) return `set to be right ${times(target)}, but nothing is promised for taxa or parts that you chose`;
  return `right ${times(target)} at this setting`;
};

export const alarms = answer => (answer.watch ?? []).filter(taxon => taxon.alarm);

// Warnings in words: those that the server gave, without the alarms, which are shown apart.
export const warnings = answer => (answer.warnings ?? []).filter(warning => warning.kind !== "watch");
