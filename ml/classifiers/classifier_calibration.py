"""Calibration of a classifier trained elsewhere, from files to text or JSON on standard output.

The options come from the command line (`ml.classifiers.cli`).
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ml.classifiers.classes import Classes
from ml.classifiers.classifier_files import Labels, read_labels, read_probabilities, read_taxonomy
from ml.classifiers.comparison import comparison
from ml.ending import ENDING, complain
from ml.errors import DataError, MlError
from ml.files import replacing
from ml.spec import OperatingPoint, SpecificityOptions
from ml.specificity import checked_labels
from ml.specificity.calibration import Labelled, Outcome, calibrate_network
from ml.specificity.calibration_report import interval, tables, write_files
from ml.specificity.guarantee import photos_needed
from ml.specificity.rules import describe_rule, weight_of
from ml.specificity.tree_sums import Distributions
from ml.taxonomy import Taxonomy


def calibrate_files(options: argparse.Namespace) -> int:
    """Calibrate what the arguments name, print the result, and return the exit status."""
    try:
        asked = SpecificityOptions.model_validate(
            {name: getattr(options, name) for name in SpecificityOptions.model_fields}
        )
        temporary = tempfile.TemporaryDirectory(prefix="naturewatch-specificity.")
        ENDING.callback(temporary.cleanup)
        with temporary as folder:
            classes = read_taxonomy(options.taxonomy)
            labels = read_labels(options.labels)
            probabilities = read_probabilities(options.probabilities, classes=classes, folder=Path(folder))
            data = labelled(probabilities, labels, classes, holdout=options.holdout, seed=options.seed)
            if (open_question := doubt(data, asked)) is not None:
                complain(open_question)
            if options.compare:
                printed(comparison(data, classes.taxonomy, asked, repeats=options.repeats))
                return 0
            outcome = calibrate_network(data, classes.taxonomy, asked)
            written = _write(outcome, classes.taxonomy, asked, options.output) if options.output else {}
    except ValidationError as error:
        complain("; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()))
        return 1
    except MlError as error:
        complain(str(error))
        return 1
    if options.json:
        sys.stdout.write(json.dumps(as_json(outcome, asked, classes.taxonomy) | {"files": written}, indent=2) + "\n")
    else:
        printed(readable(outcome, asked, classes.taxonomy))
    for name in outcome.watch_unknown:
        complain(f"the watch-list names {name!r}, which the taxonomy does not hold")
    if not outcome.chosen.reachable:
        complain(_out_of_reach(outcome, asked))
        return 1
    return 0


def labelled(probabilities: Distributions, labels: Labels, classes: Classes, *, holdout: float, seed: int) -> Labelled:
    """Put the files together and divide the photographs.

    The half that the labels' file names, or a share drawn by the seed, judges; with neither, the photographs that
    chose judge themselves.

    Raises:
        MlError: the files do not fit together.
    """
    truth = checked_labels(probabilities, labels.class_ids, classes.taxonomy)
    if classes.order is not None:
        truth = np.argsort(classes.order).astype(np.int32)[truth]
    if labels.halves is not None:
        if holdout:
            raise DataError("the labels say who judges, in the column half: leave --holdout out")
        chooses, judges = labels.halves == "calibration", labels.halves == "evaluation"
        for name, half in (("calibration", chooses), ("evaluation", judges)):
            if not half.any():
                raise DataError(f"no photograph has the half {name}; both halves are needed, or no column half")
    elif holdout:
        groups = np.arange(len(truth)) if labels.observations is None else labels.observations
        _, unit = np.unique(groups, return_inverse=True)
        judges = (np.random.default_rng(seed).random(unit.max() + 1) < holdout)[unit]
        chooses = ~judges
        if not chooses.any() or not judges.any():
            what = "photographs" if labels.observations is None else "observations"
            raise DataError(f"the {what} are too few to hold out {holdout:g} of them: there are {unit.max() + 1}")
    else:
        chooses = judges = np.ones(len(truth), dtype=bool)
    return Labelled(
        probabilities=probabilities, labels=truth, chooses=chooses, judges=judges, observations=labels.observations
    )


def doubt(data: Labelled, asked: SpecificityOptions) -> str | None:
    """What the labels leave open that intervals, guarantee and watch-list rest on; None where all is well."""
    if data.observations is None:
        if asked.delta is None and not asked.watch_list:
            return None
        return (
            "the labels have no observation_id, so what is promised takes every photograph for an observation of its "
            "own; several photographs of one organism promise less than they seem to"
        )
    both = np.intersect1d(data.observations[data.chooses], data.observations[data.judges])
    if not len(both) or (data.chooses & data.judges).any():
        return None
    return (
        f"{len(both)} observations have photographs in both halves ({both[0]}, for one): what is held out is not "
        "independent of what chose, and may be flattered"
    )


def as_json(outcome: Outcome, asked: SpecificityOptions, taxonomy: Taxonomy) -> dict[str, Any]:
    """Everything that was found, for machines; `accuracy` and its like are of the photographs that chose."""
    return {
        "threshold": outcome.chosen.threshold,
        "target": asked.target,
        "rule": asked.rule,
        "lambda": _finite(weight_of(asked.rule, asked.reward, outcome.chosen.threshold, taxonomy)),
        "reward": asked.reward,
        "method": asked.method,
        "reachable": outcome.chosen.reachable,
        **_measured(outcome.chosen),
        "evaluation": _measured(outcome.judged) if outcome.held_out else None,
        "temperature": outcome.temperature,
        "delta": asked.delta,
        "calibration_error": outcome.reliability.error,
        "points": [point.model_dump() for point in outcome.points],
        "groups": [group.model_dump() for group in outcome.groups],
        "watch": [taxon.model_dump() for taxon in outcome.watch],
        "watch_unknown": list(outcome.watch_unknown),
    }


def _finite(weight: float | None) -> float | None:
    """JSON has no infinity."""
    return None if weight is None or math.isinf(weight) else weight


def _measured(point: OperatingPoint) -> dict[str, float]:
    names = ("photos", "accuracy", "accuracy_low", "accuracy_high", "depth", "information", "abstention")
    return {name: getattr(point, name) for name in names}


def readable(outcome: Outcome, asked: SpecificityOptions, taxonomy: Taxonomy) -> str:
    """The result as text."""
    chosen, judged = outcome.chosen, outcome.judged
    promise = "" if asked.delta is None else f", broken with a probability of at most {asked.delta:g}"
    first, last = (taxonomy.rank[taxonomy.levels[depth][0]] for depth in (1, taxonomy.max_depth))
    ranks = f"root 0, {first} 1" + (f" ... {last} {taxonomy.max_depth}" if taxonomy.max_depth > 1 else "")
    lines = [
        f"threshold    {chosen.threshold:.6f}   ({asked.method}, target accuracy {_percent(asked.target)}{promise})",
        f"accuracy     {chosen.accuracy:.2%}   on the {chosen.photos:,} photographs that chose it",
        f"depth        {chosen.depth:.3f}   mean depth of the answers: {ranks}",
        f"information  {chosen.information:.3f}   bits, on average",
        f"abstention   {chosen.abstention:.2%}   answered with the root",
    ]
    if outcome.choosers < chosen.photos:
        lines.insert(1, f"chosen by    {outcome.choosers:,} photographs, one of each observation")
    if asked.rule != "threshold":
        lines.insert(1, f"rule         {describe_rule(asked.rule, asked.reward, chosen.threshold, taxonomy)}")
    if outcome.temperature != 1:
        lines.append(f"temperature  {outcome.temperature:.4f}   applied before the sums")
    if outcome.held_out:
        spread = interval(judged.accuracy, judged.accuracy_low, judged.accuracy_high)
        lines.append(f"held out     {spread} at depth {judged.depth:.3f} on {judged.photos:,} other photographs")
    return "\n".join(lines) + f"\n\n{tables(outcome, taxonomy)}"


def _percent(share: float) -> str:
    """With one digit after the point, or all that it has."""
    return f"{share:.1%}" if round(share, 3) == share else f"{100 * share:g}%"


def _out_of_reach(outcome: Outcome, asked: SpecificityOptions) -> str:
    accuracy = f"at threshold 1 it is {outcome.chosen.accuracy:.1%}"
    if asked.delta is None:
        return f"no threshold reaches an accuracy of {_percent(asked.target)}: {accuracy}"
    least = photos_needed(target=asked.target, delta=asked.delta / len(outcome.table.groups))
    return (
        f"no threshold can be promised to keep an accuracy of {_percent(asked.target)} from {outcome.choosers} "
        f"photographs, one of each observation ({least} right ones are the least in each group): {accuracy}"
    )


def _write(outcome: Outcome, taxonomy: Taxonomy, asked: SpecificityOptions, folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    files = write_files(outcome, taxonomy=taxonomy, folder=folder, spec_hash="")
    result = folder / "specificity.json"
    with replacing(result) as partial:
        partial.write_text(json.dumps(as_json(outcome, asked, taxonomy), indent=2) + "\n", encoding="utf-8")
    written = [files.curve, files.thresholds, files.by_target, files.report, result, *files.figures.values()]
    return {path.name: str(path) for path in written}


def printed(text: str) -> None:
    """Write to standard output; characters that it cannot show (a terminal that is not UTF-8) are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
