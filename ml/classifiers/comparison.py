"""All rules and ways to choose thresholds on the same probabilities, side by side: their depth at the same target."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from ml.spec import OperatingPoint, SpecificityOptions
from ml.specificity.calibration import Labelled, TooFewError, fit
from ml.specificity.calibration_report import interval, markdown_table
from ml.specificity.thresholds import judge_table
from ml.taxonomy import Taxonomy

TARGETS = (0.8, 0.9, 0.95)
PAPER = "the paper: hill climb"
DARTS = "Deng et al.: DARTS, reward"
DISTANCE = "least expected distance"

Judged = dict[str, list[OperatingPoint | None]]
"""By method: what it does at each target, None where that is out of reach."""


def variants(asked: SpecificityOptions, taxonomy: Taxonomy) -> dict[str, SpecificityOptions]:
    """Rules and methods by name, for the ranks that the tree has; guarantees are given with `asked.delta`, or 0.05."""
    plain = SpecificityOptions(target=asked.target, group_photos=asked.group_photos, seed=asked.seed)
    delta = asked.delta or 0.05
    changes: dict[str, dict[str, object]] = {
        PAPER: {"method": "hill_climb"},
        "binary search on the threshold": {"method": "binary_search"},
        "exact": {},
        "exact, temperature": {"temperature": True},
        "exact, per kingdom": {"groups": "kingdom"},
        "exact, per class": {"groups": "class"},
        "exact, temperature, per class": {"temperature": True, "groups": "class"},
        f"guaranteed, delta {delta:g}": {"delta": delta},
        f"guaranteed, delta {delta:g}, temperature": {"delta": delta, "temperature": True},
    }
    rules: dict[str, dict[str, object]] = {
        f"{DARTS} depth": {"rule": "reward"},
        f"{DARTS} information": {"rule": "reward", "reward": "information"},
        DISTANCE: {"rule": "distance"},
    }
    for name, rule in rules.items():
        changes |= {
            name: rule,
            f"{name}, temperature": {**rule, "temperature": True},
            f"{name}, guaranteed, delta {delta:g}": {**rule, "delta": delta},
        }
    return {
        name: plain.model_copy(update=change)
        for name, change in changes.items()
        if change.get("groups", "none") in {"none", *taxonomy.rank}
    }


def comparison(data: Labelled, taxonomy: Taxonomy, asked: SpecificityOptions, *, repeats: int = 1) -> str:
    """A Markdown table: for each method and target, accuracy and depth on the photographs that did not choose.

    Args:
        data: Photographs with labels and halves.
        taxonomy: Their tree.
        asked: Seed, delta and group size.
        repeats: With more than one, the halves are drawn anew so many times and the table holds means: one division
            of a thousand photographs says little about a tenth of a rank.

    Raises:
        MlError: probabilities or options are not what they must be.
    """
    generator = np.random.default_rng(asked.seed)
    divisions = [data] if repeats == 1 else [divided(data, generator) for _ in range(repeats)]
    judged = [compare(division, taxonomy, asked) for division in divisions]
    heads = [head for target in TARGETS for head in (f"accuracy at {target:.0%}:", "depth:", "gained:")]
    rows = [
        [name, *itertools.chain.from_iterable(
            _cells([one[name][column] for one in judged], [one[PAPER][column] for one in judged])
            for column in range(len(TARGETS))
        )]
        for name in judged[0]
    ]  # fmt: skip
    return markdown_table(["method", *heads], rows)


def compare(data: Labelled, taxonomy: Taxonomy, asked: SpecificityOptions) -> Judged:
    """All rules and methods on one division of the photographs."""
    judged: Judged = {}
    for name, options in variants(asked, taxonomy).items():
        try:
            fitted = fit(data, taxonomy, options, targets=TARGETS)
        except TooFewError:
            judged[name] = [None] * len(TARGETS)
            continue
        found = [judge_table(fitted.table, fitted.evaluation, taxonomy, target=target) for target in TARGETS]
        judged[name] = [point if point.reachable else None for point in found]
    return judged


def divided(data: Labelled, generator: np.random.Generator) -> Labelled:
    """The same photographs with other halves, none of them empty; an observation stays whole.

    Raises:
        TooFewError: there is only one.
    """
    names = np.arange(len(data.labels)) if data.observations is None else data.observations
    _, unit = np.unique(names, return_inverse=True)
    if not unit.max():
        raise TooFewError("a single photograph or observation cannot be divided into halves")
    chooses = np.zeros(len(unit), dtype=bool)
    while not 0 < chooses.sum() < len(chooses):
        chooses = (generator.random(unit.max() + 1) < 0.5)[unit]
    return dataclasses.replace(data, chooses=chooses, judges=~chooses)


def _cells(found: Sequence[OperatingPoint | None], paper: Sequence[OperatingPoint | None]) -> list[str]:
    """Accuracy, depth and gain: of one division with the interval, of several as means with the deviation."""
    pairs = [(ours, theirs) for ours, theirs in zip(found, paper, strict=True) if ours is not None]
    if not pairs:
        return ["out of reach", "", ""]
    gains = np.array([ours.depth - theirs.depth for ours, theirs in pairs if theirs is not None])
    depth = f"{np.mean([ours.depth for ours, _ in pairs]):.3f}"
    if len(found) == 1:
        (one, _), gained = pairs[0], f"{gains[0]:+.3f}" if len(gains) else ""
        return [interval(one.accuracy, one.accuracy_low, one.accuracy_high), depth, gained]
    accuracy = np.mean([ours.accuracy for ours, _ in pairs])
    gained = f"{gains.mean():+.3f} ± {gains.std():.3f}" if len(gains) else ""
    missing = f" (in {len(pairs)} of {len(found)})" if len(pairs) < len(found) else ""
    return [f"{accuracy:.1%}{missing}", depth, gained]
