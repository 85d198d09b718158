"""Whether a stage is tracked: MLflow is loaded for those that are, so that the others run where it is not installed."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml.spec import StageSpec

if TYPE_CHECKING:
    from ml.child.tracking import ChildRun


@contextlib.contextmanager
def run_of(spec: StageSpec, *, system_metrics: bool = False) -> "Iterator[ChildRun | None]":
    """Yield the run that a stage is logged to (`ml.child.tracking.child_run`); None where its specification has none.

    Args:
        spec: The stage.
        system_metrics: Also sample processor, memory and disk while the block runs.
    """
    if spec.tracking is None:
        yield None
        return
    from ml.child.tracking import child_run  # noqa: PLC0415 (loads MLflow)

    with child_run(spec.tracking, spec_hash=spec.spec_hash, system_metrics=system_metrics) as run:
        yield run


@contextlib.contextmanager
def mlflow_errors_told(spec: StageSpec) -> Iterator[None]:
    """Raise what MLflow raises as a `TrackingError`."""
    if spec.tracking is None:
        yield
        return
    from ml.child.tracking import told  # noqa: PLC0415 (loads MLflow)

    with told(spec.tracking):
        yield
