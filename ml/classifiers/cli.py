"""`naturewatch specificity`: the arguments of calibrating a classifier trained elsewhere, and how the command ends."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ml.ending import CLOSED, complain, end_by_signals

if __name__ == "__main__":
    # Before what takes a moment to import.
    end_by_signals()


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate and return the exit status: 0 only when the target can be met."""
    options = _options(argv)
    from ml.classifiers.classifier_calibration import calibrate_files  # noqa: PLC0415 (it takes a moment)

    return ended(lambda: calibrate_files(options))


def ended(work: Callable[[], int]) -> int:
    """Do what a command is for and return its exit status, also where its output cannot be written."""
    try:
        status = work()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return CLOSED
    except OSError as error:
        reason = error.strerror or str(error)
        complain(f"{error.filename}: {reason}" if error.filename else reason)
        _discard_output()
        return 1
    return status


def _discard_output() -> None:
    """Drop what could not be written: Python would try once more when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; combinations in which one has no effect are refused."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.compare and (options.json or options.output):
        parser.error("--compare prints a table and writes nothing: leave --json and --output out")
    if options.repeats > 1 and not options.compare:
        parser.error("--repeats belongs to --compare")
    if options.repeats > 1 and options.holdout:
        parser.error("--repeats draws halves of its own: leave --holdout out")
    return options


def _share(*, zero: bool = False) -> Callable[[str], float]:
    """A number between 0 and 1, without 1, and without 0 unless `zero`; for argparse."""

    def share(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if 0 < number < 1 or (zero and number == 0):
            return number
        hint = f"; write {number / 100:g} for {number:g} %" if 1 < number < 100 else ""
        raise argparse.ArgumentTypeError(
            f"must be a number {'from' if zero else 'above'} 0 and below 1, not {text}{hint}"
        )

    return share


def whole(*, least: int) -> Callable[[str], int]:
    """A whole number; for argparse."""

    def number_of(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} on, not {text}")
        return number

    return number_of


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
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
    parser.add_argument("--target", type=_share(), required=True, help="accuracy wanted, e.g. 0.9")
    parser.add_argument(
        "--rule",
        choices=["threshold", "reward", "distance"],
        default="threshold",
        help="what is answered: the deepest taxon that is probable enough (default, the paper), the greatest "
        "(reward + lambda) x probability (Deng et al. 2012), or the least expected distance in the tree",
    )
    parser.add_argument(
        "--method",
        choices=["exact", "hill_climb", "binary_search"],
        default="exact",
        help="how to search (default exact)",
    )
    parser.add_argument(
        "--reward",
        choices=("depth", "information"),
        default="depth",
        help="what to have most of, and the reward of --rule reward",
    )
    parser.add_argument("--seed", type=whole(least=0), default=0, help="of every draw (default 0)")
    parser.add_argument(
        "--holdout", type=_share(zero=True), default=0.0, help="share that judges instead of choosing, e.g. 0.5"
    )
    parser.add_argument("--delta", type=_share(), help="guarantee the target, broken with at most this probability")
    parser.add_argument("--temperature", action="store_true", help="fit a temperature before the sums")
    parser.add_argument("--groups", choices=["none", "kingdom", "phylum", "class", "order"], default="none",
                        help="thresholds of their own for the taxa of a rank")  # fmt: skip
    parser.add_argument(
        "--group-photos", type=whole(least=1), default=100, help="photographs that a group needs (default 100)"
    )
    parser.add_argument("--watch", dest="watch_list", action="append", default=[], metavar="TAXON",
                        help="always report this taxon (repeatable)")  # fmt: skip
    parser.add_argument("--watch-recall", type=_share(), default=0.95, help="share of it that must raise an alarm")
    parser.add_argument("--compare", action="store_true", help="print all methods side by side and write nothing")
    parser.add_argument(
        "--repeats", type=whole(least=1), default=1, help="for --compare: draw the halves anew so many times"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
