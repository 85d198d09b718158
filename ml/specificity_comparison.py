"""All ways to choose thresholds on the same probabilities, side by side: the depth of each at the same target."""

import numpy as np

from ml.calibration import Labelled, divide, policy_of
from ml.calibration_tables import interval
from ml.candidates import candidates
from ml.darts import darts
from ml.spec import SpecificityOptions
from ml.taxonomy import Taxonomy
from ml.temperature import fit_temperature
from ml.thresholds import Half, Judgement, judge_table, learn

TARGETS = (0.8, 0.9, 0.95)
PAPER = "the paper: hill climb"


def variants(asked: SpecificityOptions) -> dict[str, SpecificityOptions]:
    """The methods by name; the guarantee is given with `asked.delta`, or 0.05."""
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
    return {name: plain.model_copy(update=change) for name, change in changes.items()}


def comparison(data: Labelled, taxonomy: Taxonomy, asked: SpecificityOptions) -> str:
    """A Markdown table: for each method and target, accuracy and depth on the photographs that did not choose.

    Raises:
        MlError: probabilities or options are not what they must be.
    """
    judged: dict[str, list[Judgement | None]] = {}
    for name, options in variants(asked).items():
        fits, chooses = divide(data, options)
        temperature = (
            fit_temperature(data.probabilities, data.labels, taxonomy, rows=np.flatnonzero(fits), seed=options.seed)
            if options.temperature
            else 1.0
        )
        found = candidates(data.probabilities, taxonomy, temperature=temperature)
        everyone = Half(found=found, labels=data.labels, observations=data.observations)
        table = learn(everyone.rows(chooses), taxonomy, targets=TARGETS, policy=policy_of(options, taxonomy))
        judged[f"{name} (T = {temperature:.2f})" if options.temperature else name] = [
            judge_table(table, everyone.rows(data.judges), taxonomy, target=target)
            if table.reachable[row].all()
            else None
            for row, target in enumerate(TARGETS)
        ]
    for reward in ("depth", "information"):
        judged[f"Deng et al.: DARTS, reward {reward}"] = [
            darts(data, taxonomy, target=target, reward=reward) for target in TARGETS
        ]
    heads = [f"accuracy at {target:.0%} | depth | gained" for target in TARGETS]
    lines = [f"| method | {' | '.join(heads)} |", "|---|" + "---:|---:|---:|" * len(TARGETS)]
    for name, row in judged.items():
        cells = [_cells(found, paper) for found, paper in zip(row, judged[PAPER], strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(found: Judgement | None, paper: Judgement | None) -> str:
    if found is None:
        return "out of reach | |"
    gained = "" if paper is None else f"{found.depth - paper.depth:+.3f}"
    return f"{interval(found.accuracy, found.accuracy_low, found.accuracy_high)} | {found.depth:.3f} | {gained}"
