"""`naturewatch specificity`: calibrate anybody's classifier from its probabilities, labels and a taxonomy table."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from ml.errors import DataError, MlError
from ml.specificity import Calibration, Method, calibrate
from ml.taxonomy import Taxonomy


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate and return the exit status: 0 only when the target can be met."""
    options = _parser().parse_args(argv)
    try:
        result = calibrate(
            read_array(options.probabilities),
            read_array(options.labels),
            Taxonomy.read(options.taxonomy),
            options.target,
            options.method,
            seed=options.seed,
        )
    except MlError as error:
        _complain(str(error))
        return 1
    if options.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(result), indent=2) + "\n")
    else:
        sys.stdout.write(readable(result))
    if not result.reachable:
        _complain(
            f"no threshold reaches an accuracy of {result.target:.1%}: at threshold 1 it is {result.accuracy:.1%}"
        )
        return 1
    return 0


def read_array(path: Path) -> npt.NDArray[Any]:
    """A `.npy` file, mapped into memory instead of read.

    Raises:
        DataError: the file is missing or no array; pickled objects are refused.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot read {path} as a NumPy array (.npy): {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path} holds several arrays (.npz); save one with numpy.save")
    return array


def readable(result: Calibration) -> str:
    """The result as text."""
    return (
        f"threshold    {result.threshold:.6f}   ({result.method}, target accuracy {result.target:.1%})\n"
        f"accuracy     {result.accuracy:.2%}   on the {result.photos:,} photographs that chose it\n"
        f"depth        {result.depth:.3f}   mean depth of the answers: root 0, kingdom 1 ... species 7\n"
        f"abstention   {result.abstention:.2%}   answered with the root\n"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="naturewatch specificity", description="Choose the confidence threshold that meets a target accuracy."
    )
    parser.add_argument("--probabilities", type=Path, required=True, help=".npy, photographs x classes, rows sum to 1")
    parser.add_argument("--labels", type=Path, required=True, help=".npy, true class ids")
    parser.add_argument("--taxonomy", type=Path, required=True, help="taxonomy.parquet; class ids in preorder")
    parser.add_argument("--target", type=float, required=True, help="accuracy wanted, e.g. 0.9")
    parser.add_argument("--method", choices=get_args(Method), default="exact", help="how to search (default exact)")
    parser.add_argument("--seed", type=int, default=0, help="order of hill_climb's mini-batches (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _complain(message: str) -> None:
    sys.stderr.write(f"naturewatch: {' '.join(message.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
