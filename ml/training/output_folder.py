"""The output folder of a training: locked, claimed for one specification, cleared at the end; the history in it."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.documents import RESULT_FILE
from ml.errors import TrainingError
from ml.files import replacing
from ml.spec import TrainSpec
from ml.training import checkpoints

INPUTS_FILE = "inputs.json"
"""Names the specification that the output folder belongs to."""

HISTORY = pa.schema(
    [
        ("phase", pa.string()),
        ("epoch", pa.int32()),
        ("step", pa.int64()),
        ("train_loss", pa.float64()),
        ("train_accuracy", pa.float64()),
        ("learning_rate", pa.float64()),
        ("photos_per_second", pa.float64()),
        ("memory_mib", pa.float64()),
        ("data_wait", pa.float64()),
        ("peak_share", pa.float64()),
        ("validation_loss", pa.float64()),
        ("validation_accuracy", pa.float64()),
    ]
)
"""A row per epoch: `memory_mib` is the peak, `data_wait` the share of the time that steps waited for photographs,
`peak_share` the card's arithmetic that was used (`ml.training.throughput`). The validation is that of
`ml.training.validation`. Null is what was not measured; files of earlier versions lack the last three columns."""
OF_TRAINING = ("peak_share", "validation_loss", "validation_accuracy")
"""What a row of another phase than training does not measure."""


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the output folder: two trainings must never write to one.

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
    """Make the output folder this specification's; what another specification left there is removed.

    Raises:
        TrainingError: the folder does not say which specification it belongs to.
    """
    inputs = spec.output / INPUTS_FILE
    if inputs.exists():
        try:
            claimed = json.loads(inputs.read_text(encoding="utf-8"))["spec_hash"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            # It may hold a checkpoint of days: only a person may throw it away.
            raise TrainingError(
                f"{inputs} does not say which training it belongs to; remove the folder {spec.output} to train anew"
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
    for folder in ("features", "frozen", checkpoints.FILE.parent):
        shutil.rmtree(output / folder, ignore_errors=True)


def write_history(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write `history.parquet` atomically and return `path`."""
    rows = [row if row["phase"] == "train" else row | dict.fromkeys(OF_TRAINING) for row in rows]
    with replacing(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=HISTORY), partial)
    return path
