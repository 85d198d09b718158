// What an answer says at another promised accuracy: the rule of `ml.specificity.answers.select`, in the browser.
//
// Of each depth the version's rule has one candidate (`path`), with a score that never rises with depth. The answer at
// the threshold t is the deepest candidate with a score of at least t; without one it is the root: not sure.

import { percent, times } from "./dom.js";

// The server compares numbers rounded like this (`ml.specificity.operating_points.DECIMALS`).
const rounded = number => Math.round(number * 1e9) / 1e9;

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
  const threshold = model.thresholds.thresholds[row][answer.group];
  const depth = answer.path.filter(step => rounded(step.score) >= rounded(threshold)).length;
  return {
    taxon: depth ? answer.path[depth - 1] : null,
    depth,
    next: answer.path[depth] ?? null,
    threshold,
    reachable: model.thresholds.reachable[row][answer.group],
    asServed: answer.target !== null && position(model, answer.target) === row,
  };
};

// In words, for people and screen readers.
export const named = (taxon, probability = true) => taxon
  ? `${taxon.rank} ${taxon.name}${probability ? `, ${percent(taxon.probability)}` : ""}` : "not sure";

// Where the answer stops, and why.
export const stopped = (answer, decided, model) => {
  if (decided.asServed && answer.stop) return answer.stop.text;
  if (!decided.next) return "It goes as deep as the model knows.";
  const probability = model.thresholds.rule === "threshold";
  const [has, asks] = probability ? [percent(decided.next.probability), percent(decided.threshold)]
    : [decided.next.score.toFixed(2), decided.threshold.toFixed(2)];
  const where = decided.taxon ? `It stops at the ${decided.taxon.rank}` : "It names nothing";
  const next = `the likeliest ${decided.next.rank}, ${decided.next.name},`;
  return probability ? `${where}: ${next} has a probability of ${has}, and this setting asks for ${asks}.`
    : `${where}: ${next} scores ${has} by the rule "${model.thresholds.rule}", and this setting asks for ${asks}.`;
};

// What is promised about answers like this one.
export const promised = (answer, decided, target) => {
  if (decided.asServed && answer.promise) return answer.promise.text;
  return decided.reachable ? `right ${times(target)} at this setting`
    : `nothing is promised: ${times(target)} is out of reach for photographs like this one`;
};

export const alarms = answer => (answer.watch ?? []).filter(taxon => taxon.alarm);

// Warnings in words: those that the server gave, without the alarms, which are shown apart.
export const warnings = answer => (answer.warnings ?? []).filter(warning => warning.kind !== "watch");
