"""One refresh after the other in this process: the pipeline's own job, its children without processes of their own."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from ml.__main__ import main as stage
from pipeline.config.settings import Settings, load_settings
from pipeline.definitions import defs


class InProcess(dg.PipesSubprocessClient):
    """Runs a child's stage in this process: what it computes and writes is the same, without seconds of imports."""

    def run(self, *, command: Sequence[str], **_others: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """Run `python -m ml STAGE --spec FILE`.

        Raises:
            dg.Failure: the stage failed; its message is repeated.
        """
        errors = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            status = stage(list(command)[list(command).index("ml") + 1 :])
        if status:
            raise dg.Failure(errors.getvalue().strip())


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """What one run did."""

    success: bool
    failed: tuple[str, ...]
    """Steps that failed; a blocking check counts as the step that it is about."""
    messages: tuple[str, ...]
    shown: Mapping[str, Mapping[str, Any]]
    """What each asset showed of itself, by asset and title."""
    data_versions: Mapping[str, str]


def refresh(job: str, *, instance: dg.DagsterInstance, run_config: Mapping[str, Any] | None = None) -> Refresh:
    """Run a job of the pipeline to its end.

    Args:
        job: Its name.
        instance: Where Dagster keeps its events.
        run_config: Options of the run.
    """
    found = defs.resolve_job_def(job)
    done = found.execute_in_process(
        instance=instance, run_config=run_config, resources={"pipes": InProcess()}, raise_on_error=False
    )
    events = done.all_events
    materialized = [
        event.step_materialization_data.materialization for event in events if event.is_step_materialization
    ]
    failures = [event for event in events if event.is_step_failure]
    return Refresh(
        success=done.success,
        failed=tuple(str(event.step_key) for event in failures),
        messages=tuple(_deepest(event.step_failure_data.error) for event in failures),
        shown={
            each.asset_key.to_user_string(): {title: value.value for title, value in each.metadata.items()}
            for each in materialized
        },
        data_versions={
            each.asset_key.to_user_string(): (each.tags or {}).get("dagster/data_version", "") for each in materialized
        },
    )


def _deepest(error: Any) -> str:  # noqa: ANN401 (Dagster's SerializableErrorInfo)
    while error is not None and error.cause is not None:
        error = error.cause
    return "" if error is None else " ".join(str(error.message).split())


def scope(folder: Path, *, photos: Path, text: str) -> Settings:
    """Write the configuration of a scope that the embedded replica serves, and read it."""
    file = folder / "scope.yaml"
    file.write_text(
        f"name: weeks\ndata_root: {folder / 'data'}\nsource: {{mode: replica, replica: {{photos: {photos}}}}}\n{text}",
        encoding="utf-8",
    )
    return load_settings(file)
