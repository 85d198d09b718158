"""Runs the pipeline in this process: what `naturewatch run` does. The same assets run from the UI and on schedules."""

import uuid

import dagster as dg

from pipeline.commands.selection import assets_of
from pipeline.config.settings import Settings
from pipeline.definitions import defs
from pipeline.failures import Failures
from pipeline.files import exclusive
from pipeline.launching import pools
from pipeline.launching.interrupts import raise_on_signals
from pipeline.tracking.server import check_answers

NEEDS_MLFLOW = frozenset({"training", "evaluation", "release"})
"""Groups whose assets log to MLflow."""


def materialise(settings: Settings, *, selection: str) -> list[str]:
    """Materialise the selected assets, one after the other, in the Dagster instance of `DAGSTER_HOME`.

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
    failures = Failures()
    job = defs.resolve_implicit_global_asset_job_def().with_hooks({failures.hook()})
    run_id = str(uuid.uuid4())
    with (
        exclusive(settings.paths.data_root / ".run.lock"),
        dg.DagsterInstance.get() as instance,
        pools.alive(instance, run_id),
    ):
        pools.end_killed_runs(instance)
        result = job.execute_in_process(
            asset_selection=sorted(keys),
            instance=instance,
            raise_on_error=False,
            run_id=run_id,
            tags={pools.PROCESS_TAG: pools.this_process()},
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
        )
    return [] if result.success else failures.lines(result)
