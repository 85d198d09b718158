"""Whose an output folder of a training is, and what of it only an unfinished training needs."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from ml.documents import RESULT_FILE
from ml.errors import TrainingError
from ml.files import replacing
from ml.spec import TrainSpec
from ml.training import checkpoints

INPUTS_FILE = "inputs.json"
"""Names the specification that the output folder belongs to."""


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the output folder: two trainers must never write one.

    Raises:
        TrainingError: another process holds it.
    """
    output.mkdir(parents=True, exist_ok=True)
    with (output / ".lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"another process is training into {output}; wait for it, or end it, and run again"
            ) from None
        yield


def claim(spec: TrainSpec) -> None:
    """Make the output folder this specification's: what another one left there is removed.

    Raises:
        TrainingError: it cannot be told whose training lies there.
    """
    inputs = spec.output / INPUTS_FILE
    if inputs.exists():
        try:
            claimed = json.loads(inputs.read_text(encoding="utf-8"))["spec_hash"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            # A checkpoint of days may lie there: only a person may throw it away.
            raise TrainingError(
                f"{inputs} does not say whose training lies there; remove the folder {spec.output} to train anew"
            ) from error
        if claimed == spec.spec_hash:
            return
    (spec.output / RESULT_FILE).unlink(missing_ok=True)
    clear(spec.output)
    with replacing(inputs) as partial:
        partial.write_text(json.dumps({"spec_hash": spec.spec_hash}) + "\n", encoding="utf-8")


def clear(output: Path) -> None:
    """Remove what only an unfinished training needs."""
    (output / "head.safetensors").unlink(missing_ok=True)
    for features in ("features", "frozen"):
        shutil.rmtree(output / features, ignore_errors=True)
    checkpoints.remove(output / "checkpoints")
