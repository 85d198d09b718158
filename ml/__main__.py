"""`python -m ml STAGE --spec FILE`: runs one stage of the pipeline from its specification to `result.json`.

Started by Dagster Pipes, by torchrun (one process per device) or by hand. Only the packages of the stage are loaded.
Exit status: 0 when `result.json` is written, 1 with one line on standard error when it cannot be.
"""

import signal

if __name__ == "__main__":
    # Imports take seconds. Until a stage handles signals in its own way, they end the process at once, without a trace:
    # the pipeline, or the shell, says what happened.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import fcntl
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ml.child.pipes import Reporter, session
from ml.child.tracked import mlflow_errors_told
from ml.errors import MlError
from ml.spec import DEVICE_LOCKS, CalibrateSpec, ExamSpec, RegisterSpec, StageSpec, TrainSpec

SPECS: Final[Mapping[str, type[StageSpec]]] = {
    "train": TrainSpec, "calibrate": CalibrateSpec, "register": RegisterSpec, "exam": ExamSpec,
}  # fmt: skip
"""The stages, and the class of `ml.spec` that each reads."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one stage and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ml", description="Run one stage from its specification.")
    parser.add_argument("stage", choices=SPECS)
    parser.add_argument("--spec", type=Path, required=True, help="the specification, a JSON file (see ml.spec)")
    options = parser.parse_args(argv)
    _hold_devices()
    run = _loaded(options.stage)
    try:
        with session() as reporter:
            spec = SPECS[options.stage].read(options.spec)
            with mlflow_errors_told(spec):
                run(spec, reporter)
    except (MlError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 1
    return 0


def _hold_devices() -> None:
    """Until this process ends, lock the files that stand for its GPUs, so that no other training takes them.

    The launcher holds them as well; but if it is killed, this process still has to write a checkpoint.
    """
    for path in filter(None, os.environ.get(DEVICE_LOCKS, "").split(os.pathsep)):
        # Never closed: the lock is the process's.
        fcntl.flock(os.open(path, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH)


def _loaded(stage: str) -> Callable[[Any, Reporter], object]:
    """Import what a stage needs, and return what runs its specification."""
    if stage == "train":
        from ml.devices import joined  # noqa: PLC0415 (each stage loads its own packages)
        from ml.ending import stopping  # noqa: PLC0415
        from ml.training import train  # noqa: PLC0415

        def run(spec: TrainSpec, reporter: Reporter) -> None:
            with stopping() as stop, joined() as device:
                train.run(spec, device=device, reporter=reporter, stop=stop)

        return run
    if stage == "calibrate":
        from ml.specificity import stage as calibration  # noqa: PLC0415

        return lambda spec, reporter: calibration.run(spec, reporter=reporter)
    if stage == "exam":
        from ml.serving import exam  # noqa: PLC0415

        return lambda spec, reporter: exam.run(spec, reporter=reporter)
    from ml.serving import register  # noqa: PLC0415

    return lambda spec, reporter: register.run(spec, reporter=reporter)


if __name__ == "__main__":
    sys.exit(main())
