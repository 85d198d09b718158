"""Runs the pipeline in this process: what `naturewatch run` does. The same assets run from the UI and on schedules."""

import contextlib
import functools
import traceback
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from pipeline.commands.findings import finding_or_nothing
from pipeline.commands.preflight import require_ready
from pipeline.commands.run_log import log_file, logging_to
from pipeline.commands.run_state import RunState
from pipeline.commands.run_watch import RUN_TAG, Watch
from pipeline.commands.selection import assets_of
from pipeline.config.settings import Settings
from pipeline.definitions import defs, whole_pipeline
from pipeline.defs.together import TRAININGS
from pipeline.errors import ConfigurationError, NatureWatchError, RunError
from pipeline.failures import Failures, reason
from pipeline.launching import pools
from pipeline.launching.gpus import slots
from pipeline.launching.interrupts import raise_on_signals
from pipeline.launching.run_lock import COMMAND_WAITS, only_run

RUN_CONFIG: Final[dict[str, Any]] = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
LOSSES: Final = "losses"
"""The asset that looks for losses of a dataset."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    problems: list[str]
    """One line for each step or check that failed; empty when all is done."""
    assets: frozenset[str]
    """The assets that were selected."""
    log: Path
    """The file with all that was printed."""


def materialise(settings: Settings, *, selection: str | dg.AssetSelection, accept_losses: str | None = None) -> Outcome:
    """Materialise the selected assets in the Dagster instance of `DAGSTER_HOME`, and show how that goes on.

    One after the other, unless several trainings are selected and there are GPUs for more than one at a time.

    Args:
        settings: The configuration; the run reads it once more and keeps it.
        selection: In Dagster's asset selection syntax, or as its object.
        accept_losses: Why a person lets pass that the dataset has lost more than is allowed; None lets nothing pass.

    Raises:
        ConfigurationError: the selection is malformed or selects nothing.
        NotReadyError: the selected assets need what is not there (`preflight`).
        LockedError: another run works in this `data_root`.
        RunError: the run itself, and none of its steps, came to an end.
        Interrupted: a signal ended the run.
    """
    graph = defs.resolve_asset_graph()
    keys = assets_of(selection, graph=graph) if isinstance(selection, str) else frozenset(selection.resolve(graph))
    names = frozenset(key.to_user_string() for key in keys)
    config = run_config(names, accept_losses=accept_losses)
    require_ready(settings, assets=names)
    raise_on_signals()
    side_by_side = slots(processes=settings.training.processes)
    trainings = sum(TRAININGS in (graph.get(key).pools or ()) for key in keys)
    run_id = str(uuid.uuid4())
    path = log_file(settings.paths, run_id=run_id)
    with (
        only_run(settings.paths.data_root, who=f"a run with the log {path}", wait_seconds=COMMAND_WAITS),
        logging_to(path) as log,
        _explained(path),
        dg.DagsterInstance.get() as instance,
    ):
        pools.end_killed_runs(instance)
        pools.set_slots(instance, TRAININGS, side_by_side)
        state = _state(settings, keys, graph=graph)
        with Watch(instance=instance, state=state, log=log, title=f"NatureWatch: {settings.name}"):
            if min(side_by_side, trainings) > 1:
                problems = _in_processes(instance, sorted(keys), log=path.name, config=config)
            else:
                problems = _in_this_process(instance, sorted(keys), run_id=run_id, log=path.name, config=config)
    return Outcome(problems=problems, assets=names, log=path)


def run_config(assets: Collection[str], *, accept_losses: str | None) -> dict[str, Any]:
    """The options of a run.

    Args:
        assets: The assets that it makes.
        accept_losses: As for `materialise`.

    Raises:
        ConfigurationError: losses are to be accepted by a run that does not look for any.
    """
    if accept_losses is None:
        return RUN_CONFIG
    if LOSSES not in assets:
        raise ConfigurationError(f"--accept-losses is about the asset {LOSSES}, which is not part of this run")
    return {**RUN_CONFIG, "ops": {LOSSES: {"config": {"accept": accept_losses}}}}


def _state(settings: Settings, keys: frozenset[dg.AssetKey], *, graph: AssetGraph) -> RunState:
    return RunState.of(keys, graph=graph, finding_of=functools.partial(finding_or_nothing, settings))


@contextlib.contextmanager
def _explained(log: Path) -> Iterator[None]:
    """What nobody expected, Dagster's own storage on a full disk for instance, is a trace in the log and one line."""
    try:
        yield
    except NatureWatchError:
        raise
    except Exception as error:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        raise RunError(f"the run stopped: {reason(error)} (the log is {log})") from error


def _in_this_process(
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey],
    *,
    run_id: str,
    log: str,
    config: Mapping[str, Any] = RUN_CONFIG,
) -> list[str]:
    """Materialise assets one after the other."""
    failures = Failures()
    job = defs.resolve_implicit_global_asset_job_def().with_hooks({failures.hook()})
    with pools.alive(instance, run_id):
        result = job.execute_in_process(
            asset_selection=keys,
            instance=instance,
            raise_on_error=False,
            run_id=run_id,
            tags={pools.PROCESS_TAG: pools.this_process(), RUN_TAG: log},
            run_config=config,
        )
    return [] if result.success else failures.lines(result)


def _in_processes(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey], *, log: str, config: Mapping[str, Any] = RUN_CONFIG
) -> list[str]:
    """Materialise assets in processes of their own, as the UI does: several trainings side by side.

    The run shows that it lives by its claims of slots (`pools.MultiprocessSlotClaims`).
    """
    with dg.execute_job(
        dg.reconstructable(whole_pipeline),
        instance=instance,
        asset_selection=keys,
        run_config=config,
        tags={RUN_TAG: log},
        raise_on_error=False,
    ) as result:
        return [] if result.success else Failures().lines(result)
