"""`naturewatch specificity`: calibrate anybody's classifier from its probabilities, labels and a taxonomy table."""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from ml.calibration import Labelled, Outcome, calibrate_network
from ml.calibration_tables import interval, report
from ml.errors import DataError, MlError
from ml.foreign import Labels, read_labels, read_probabilities, read_taxonomy
from ml.operating import Reward
from ml.searches import Method
from ml.spec import SpecificityOptions
from ml.specificity import checked_labels
from ml.taxonomy import Taxonomy
from ml.tree_sums import Distributions


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate and return the exit status: 0 only when the target can be met."""
    options = _parser().parse_args(argv)
    try:
        asked = SpecificityOptions.model_validate(
            {name: getattr(options, name) for name in SpecificityOptions.model_fields}
        )
        with tempfile.TemporaryDirectory(prefix="naturewatch-specificity.") as folder:
            taxonomy, order = read_taxonomy(options.taxonomy)
            labels = read_labels(options.labels)
            probabilities = read_probabilities(options.probabilities, order=order, folder=Path(folder))
            data = labelled(probabilities, labels, taxonomy, order=order, holdout=options.holdout, seed=options.seed)
            if options.compare:
                from ml.specificity_comparison import comparison  # noqa: PLC0415 (only here)

                sys.stdout.write(comparison(data, taxonomy, asked, repeats=options.repeats))
                return 0
            outcome = calibrate_network(data, taxonomy, asked)
            written = _write(outcome, taxonomy, asked, options.output) if options.output else {}
    except (MlError, ValidationError, OSError) as error:
        _complain(str(error))
        return 1
    if options.json:
        sys.stdout.write(json.dumps(as_json(outcome, asked) | {"files": written}, indent=2) + "\n")
    else:
        sys.stdout.write(readable(outcome, asked))
    for name in outcome.watch_unknown:
        _complain(f"the watch-list names {name!r}, which the taxonomy does not hold")
    if not outcome.reachable:
        _complain(_out_of_reach(outcome, asked))
        return 1
    return 0


def labelled(
    probabilities: Distributions,
    labels: Labels,
    taxonomy: Taxonomy,
    *,
    order: np.ndarray[Any, np.dtype[np.intp]] | None,
    holdout: float,
    seed: int,
) -> Labelled:
    """Put the files together and divide the photographs.

    The half that the labels' file names, or a share drawn by the seed, judges; with neither, the photographs that
    chose judge themselves.

    Raises:
        MlError: the files do not fit together.
    """
    classes = checked_labels(probabilities, labels.class_ids, taxonomy)
    if order is not None:
        classes = np.argsort(order).astype(np.int32)[classes]
    if labels.halves is not None:
        chooses, judges = labels.halves == "calibration", labels.halves == "evaluation"
    elif holdout:
        groups = np.arange(len(classes)) if labels.observations is None else labels.observations
        _, unit = np.unique(groups, return_inverse=True)
        judges = (np.random.default_rng(seed).random(unit.max() + 1) < holdout)[unit]
        chooses = ~judges
    else:
        chooses = judges = np.ones(len(classes), dtype=bool)
    if not chooses.any() or not judges.any():
        raise DataError("one of the halves has no photograph; `half` holds `calibration` or `evaluation`")
    return Labelled(
        probabilities=probabilities, labels=classes, chooses=chooses, judges=judges, observations=labels.observations
    )


def as_json(outcome: Outcome, asked: SpecificityOptions) -> dict[str, Any]:
    """Everything that was found, for machines; `accuracy` and its like are of the photographs that chose."""
    chosen = dataclasses.asdict(outcome.chosen)
    held_out = outcome.judged if outcome.held_out else None
    return {
        "threshold": outcome.threshold,
        "target": asked.target,
        "method": asked.method,
        "reachable": outcome.reachable,
        **chosen,
        "evaluation": dataclasses.asdict(held_out) if held_out else None,
        "temperature": outcome.temperature,
        "delta": asked.delta,
        "calibration_error": outcome.reliability.error,
        "points": [point.model_dump() for point in outcome.points],
        "groups": [group.model_dump() for group in outcome.groups],
        "watch": [taxon.model_dump() for taxon in outcome.watch],
        "watch_unknown": list(outcome.watch_unknown),
    }


def readable(outcome: Outcome, asked: SpecificityOptions) -> str:
    """The result as text."""
    chosen, judged = outcome.chosen, outcome.judged
    promise = "" if asked.delta is None else f", broken with a probability of at most {asked.delta:g}"
    lines = [
        f"threshold    {outcome.threshold:.6f}   ({asked.method}, target accuracy {asked.target:.1%}{promise})",
        f"accuracy     {chosen.accuracy:.2%}   on the {chosen.photos:,} photographs that chose it",
        f"depth        {chosen.depth:.3f}   mean depth of the answers: root 0, kingdom 1 ... species 7",
        f"information  {chosen.information:.3f}   bits, on average",
        f"abstention   {chosen.abstention:.2%}   answered with the root",
    ]
    if outcome.temperature != 1:
        lines.append(f"temperature  {outcome.temperature:.4f}   applied before the sums")
    if outcome.held_out:
        spread = interval(judged.accuracy, judged.accuracy_low, judged.accuracy_high)
        lines.append(f"held out     {spread} at depth {judged.depth:.3f} on {judged.photos:,} other photographs")
    tables = report(points=outcome.points, groups=outcome.groups, watch=outcome.watch)
    return "\n".join(lines) + f"\n\n{tables}"


def _out_of_reach(outcome: Outcome, asked: SpecificityOptions) -> str:
    accuracy = f"at threshold 1 it is {outcome.chosen.accuracy:.1%}"
    if asked.delta is None:
        return f"no threshold reaches an accuracy of {asked.target:.1%}: {accuracy}"
    from ml.guarantee import photos_needed  # noqa: PLC0415 (only here)

    least = photos_needed(target=asked.target, delta=asked.delta / len(outcome.table.groups))
    return (
        f"no threshold can be promised to keep an accuracy of {asked.target:.1%} from {outcome.chosen.photos} "
        f"photographs ({least} right ones are the least in each group): {accuracy}"
    )


def _write(outcome: Outcome, taxonomy: Taxonomy, asked: SpecificityOptions, folder: Path) -> dict[str, str]:
    from ml.calibrate import write_files  # noqa: PLC0415 (Matplotlib and MLflow take seconds)

    folder.mkdir(parents=True, exist_ok=True)
    files = write_files(outcome, taxonomy=taxonomy, folder=folder, target=asked.target, spec_hash="")
    result = folder / "specificity.json"
    result.write_text(json.dumps(as_json(outcome, asked), indent=2) + "\n", encoding="utf-8")
    written = [files.curve, files.thresholds, files.by_target, files.report, result, *files.figures.values()]
    return {path.name: str(path) for path in written}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="naturewatch specificity", description="Choose the confidence threshold that meets a target accuracy."
    )
    files = parser.add_argument_group("files, .npy or Parquet")
    files.add_argument("--probabilities", type=Path, required=True, help="photographs x classes, rows sum to 1")
    files.add_argument("--labels", type=Path, required=True,
                       help="true class ids; in Parquet class_id, and if present half and observation_id")  # fmt: skip
    files.add_argument("--taxonomy", type=Path, required=True,
                       help="taxonomy.parquet, or a Parquet table of class_id, kingdom ... species")  # fmt: skip
    files.add_argument("--output", type=Path, help="a folder for curve, thresholds, tables and figures")
    parser.add_argument("--target", type=float, required=True, help="accuracy wanted, e.g. 0.9")
    parser.add_argument("--method", choices=get_args(Method), default="exact", help="how to search (default exact)")
    parser.add_argument("--reward", choices=get_args(Reward), default="depth", help="what to have most of")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default 0)")
    parser.add_argument("--holdout", type=float, default=0.0, help="share that judges instead of choosing, e.g. 0.5")
    parser.add_argument("--delta", type=float, help="guarantee the target, broken with at most this probability")
    parser.add_argument("--temperature", action="store_true", help="fit a temperature before the sums")
    parser.add_argument("--groups", choices=["none", "kingdom", "phylum", "class", "order"], default="none",
                        help="thresholds of their own for the taxa of a rank")  # fmt: skip
    parser.add_argument("--group-photos", type=int, default=100, help="photographs that a group needs (default 100)")
    parser.add_argument("--watch", dest="watch_list", action="append", default=[], metavar="TAXON",
                        help="always report this taxon (repeatable)")  # fmt: skip
    parser.add_argument("--watch-recall", type=float, default=0.95, help="share of it that must raise an alarm")
    parser.add_argument("--compare", action="store_true", help="print all methods side by side and write nothing")
    parser.add_argument("--repeats", type=int, default=1, help="for --compare: draw the halves anew so many times")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _complain(message: str) -> None:
    sys.stderr.write(f"naturewatch: {' '.join(message.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
