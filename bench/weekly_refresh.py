"""One refresh after the other in this process: the pipeline's own job, its children without processes of their own."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

import dagster as dg
from PIL import Image

from ml.__main__ import main as stage
from pipeline.config.settings import Settings, load_settings
from pipeline.definitions import defs
from pipeline.defs.production import REFRESH
from pipeline.defs.scope_resource import Scope

BESIDE: Final = ("dataset_page", "suspects")
"""Assets of a refresh that the simulation leaves out: nothing waits for them."""


class InProcess(dg.PipesSubprocessClient):
    """Runs a child's stage in this process: what it computes and writes is the same, without seconds of imports."""

    def run(self, *, command: Sequence[str], **_others: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """Run `python -m ml STAGE --spec FILE`.

        Raises:
            dg.Failure: the stage failed; its message is repeated.
        """
        run_stage(list(command)[list(command).index("ml") + 1 :])


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """What one run did."""

    success: bool
    failed: tuple[str, ...]
    """Steps that failed; a blocking check counts as the step that it is about."""
    messages: tuple[str, ...]
    shown: Mapping[str, Mapping[str, Any]]
    """What each asset showed of itself, by asset and title."""


def refresh(*, instance: dg.DagsterInstance, run_config: Mapping[str, Any] | None = None) -> Refresh:
    """Run the assets and checks of the job `refresh` to their end, but for pages and searches that decide nothing.

    Args:
        instance: Where Dagster keeps its events.
        run_config: Options of the run.
    """
    with blank_pictures():
        done = dg.materialize(
            [*(defs.assets or []), *(defs.asset_checks or [])],  # type: ignore[list-item]
            selection=REFRESH - dg.AssetSelection.assets(*BESIDE),
            instance=instance,
            run_config=run_config,
            resources={"scope": Scope(), "pipes": InProcess()},
            raise_on_error=False,
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
    )


def run_stage(arguments: Sequence[str]) -> None:
    """Run `python -m ml` with these arguments in this process.

    Raises:
        dg.Failure: the stage failed; its message is repeated.
    """
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        status = stage(list(arguments))
    if status:
        raise dg.Failure(errors.getvalue().strip())


def scope(folder: Path, *, photos: Path, text: str) -> Settings:
    """Write the configuration of a scope that the embedded replica serves, and read it."""
    file = folder / "scope.yaml"
    file.write_text(
        f"name: weeks\ndata_root: {folder / 'data'}\nsource: {{mode: replica, replica: {{photos: {photos}}}}}\n{text}",
        encoding="utf-8",
    )
    return load_settings(file)


@contextlib.contextmanager
def blank_pictures() -> Iterator[None]:
    """Charts are written without being drawn, which takes a fifth of a refresh's time; nothing is decided by them."""

    def blank(_canvas: object, target: Any, *, format: str | None = None, **_others: Any) -> None:  # noqa: A002, ANN401
        ending = format or Path(target).suffix.removeprefix(".")
        made = io.BytesIO(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        if ending == "png":
            made = io.BytesIO()
            Image.new("RGB", (480, 8), "white").save(made, format="png")
        if hasattr(target, "write"):
            target.write(made.getvalue())
        else:
            Path(target).write_bytes(made.getvalue())

    with mock.patch("matplotlib.backend_bases.FigureCanvasBase.print_figure", blank):
        yield


def _deepest(error: Any) -> str:  # noqa: ANN401 (Dagster's SerializableErrorInfo)
    while error is not None and error.cause is not None:
        error = error.cause
    return "" if error is None else " ".join(str(error.message).split())
