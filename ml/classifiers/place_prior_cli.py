"""`naturewatch place-prior`: the arguments of composing a classifier trained elsewhere with what occurrences know."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.ending import end_by_signals

if __name__ == "__main__":
    # Before what takes a moment to import.
    end_by_signals()

from ml.classifiers.cli import ended, whole


def main(argv: Sequence[str] | None = None) -> int:
    """Compose and return the exit status: 0 only when the photographs' probabilities are written."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.output.suffix != ".npy":
        parser.error(f"--output must be a file that ends in .npy, not {options.output}")
    from ml.classifiers.place_prior_files import compose_files  # noqa: PLC0415 (it takes a moment)

    return ended(lambda: compose_files(options))


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="naturewatch place-prior",
        description="Compose a classifier's probabilities with what occurrences say of each photograph's place and "
        "season.",
    )
    tables = parser.add_argument_group(
        "tables, CSV",
        "with gbif_id, species, latitude, longitude, day_of_year or event_date, and if known coordinate_uncertainty_m",
    )
    tables.add_argument("--occurrences", type=Path, required=True, help="where and when species were recorded")
    tables.add_argument("--calibration", type=Path, required=True, help="photographs that choose the parameters")
    tables.add_argument("--photographs", type=Path, required=True,
                        help="photographs to compose; where they have species, the gain is measured")  # fmt: skip
    arrays = parser.add_argument_group("probabilities, .npy or Parquet: photographs x classes, rows sum to 1")
    arrays.add_argument("--calibration-probabilities", type=Path, required=True,
                        help="of the calibration photographs, in the order of their table")  # fmt: skip
    arrays.add_argument("--probabilities", type=Path, required=True,
                        help="of the photographs, in the order of their table")  # fmt: skip
    parser.add_argument("--classes", type=Path, required=True,
                        help="a text file: a species a line, in the order of the probabilities' columns")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="the composed probabilities, .npy")
    parser.add_argument("--seed", type=whole(least=0), default=0, help="of every draw (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
