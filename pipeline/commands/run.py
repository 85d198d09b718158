"""Runs the pipeline in this process: what `naturewatch run` does. The same assets run from the UI and on schedules."""

import uuid
from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

from pipeline.commands.selection import assets_of
from pipeline.config.settings import Settings
from pipeline.definitions import defs, whole_pipeline
from pipeline.defs.together import TRAININGS
from pipeline.failures import Failures
from pipeline.files import exclusive
from pipeline.launching import pools
from pipeline.launching.gpus import slots
from pipeline.launching.interrupts import raise_on_signals
from pipeline.tracking.server import check_answers

NEEDS_MLFLOW = frozenset({"training", "evaluation", "release"})
"""Groups whose assets log to MLflow."""

RUN_CONFIG: Final[dict[str, Any]] = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}


def materialise(settings: Settings, *, selection: str) -> list[str]:
    """Materialise the selected assets in the Dagster instance of `DAGSTER_HOME`.

    One after the other, unless several trainings are selected and there are GPUs for more than one at a time.

    Args:
        settings: The configuration; the run reads it once more and keeps it.
        selection: Dagster's asset selection syntax.

    Returns:
        One line for each step or check that failed; empty when all is done.

    Raises:
        ConfigurationError: the selection is malformed or selects nothing, or MLflow's server does not answer.
        LockedError: another run works in this `data_root`.
        Interrupted: a signal ended the run.
    """
    graph = defs.resolve_asset_graph()
    keys = assets_of(selection, graph=graph)
    if any(graph.get(key).group_name in NEEDS_MLFLOW for key in keys):
        check_answers(settings)
    raise_on_signals()
    side_by_side = slots(processes=settings.training.processes)
    trainings = sum(TRAININGS in (graph.get(key).pools or ()) for key in keys)
    with exclusive(settings.paths.data_root / ".run.lock"), dg.DagsterInstance.get() as instance:
        pools.end_killed_runs(instance)
        pools.set_slots(instance, TRAININGS, side_by_side)
        if min(side_by_side, trainings) > 1:
            return _in_processes(instance, sorted(keys))
        return _in_this_process(instance, sorted(keys))


def _in_this_process(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> list[str]:
    """Materialise assets one after the other."""
    failures = Failures()
    job = defs.resolve_implicit_global_asset_job_def().with_hooks({failures.hook()})
    run_id = str(uuid.uuid4())
    with pools.alive(instance, run_id):
        result = job.execute_in_process(
            asset_selection=keys,
            instance=instance,
            raise_on_error=False,
            run_id=run_id,
            tags={pools.PROCESS_TAG: pools.this_process()},
            run_config=RUN_CONFIG,
        )
    return [] if result.success else failures.lines(result)


def _in_processes(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> list[str]:
    """Materialise assets in processes of their own, as the UI does: several trainings side by side.

    The run shows that it lives by its claims of slots (`pools.MultiprocessSlotClaims`).
    """
    with dg.execute_job(
        dg.reconstructable(whole_pipeline),
        instance=instance,
        asset_selection=keys,
        run_config=RUN_CONFIG,
        raise_on_error=False,
    ) as result:
        return [] if result.success else Failures().lines(result)
