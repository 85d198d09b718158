"""Takes the road in this process: what `naturewatch run` does. The same assets run from the UI and on schedules."""

import platform
import warnings
from typing import Final

import dagster as dg
import psutil

from pipeline.definitions import defs
from pipeline.errors import ConfigurationError

PROCESS_TAG: Final = "naturewatch.process"
"""The process that a run lives in."""


def take_road(*, selection: str) -> str | None:
    """Materialise the selected assets, one after the other, on the instance of `DAGSTER_HOME`.

    Args:
        selection: Dagster's asset selection syntax.

    Returns:
        None when all is done, else the reason in one line.

    Raises:
        ConfigurationError: the selection is malformed or empty.
    """
    try:
        # Dagster's own parser of selections calls what it marks as beta.
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        keys = dg.AssetSelection.from_string(selection).resolve(defs.resolve_asset_graph())
    except (dg.DagsterError, ValueError) as error:
        raise ConfigurationError(f"the selection {selection!r} cannot be read: {error}") from error
    if not keys:
        raise ConfigurationError(f"the selection {selection!r} selects no asset")
    job = defs.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance:
        _bury_killed_runs(instance)
        result = job.execute_in_process(
            asset_selection=sorted(keys),
            instance=instance,
            raise_on_error=False,
            tags={PROCESS_TAG: _identity(psutil.Process())},
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
        )
        return None if result.success else _reason(result)


def _bury_killed_runs(instance: dg.DagsterInstance) -> None:
    """End the runs of this command that were killed, and give back their places in Dagster's pools.

    A killed process cannot say that it has ended: its run would stay "started", and the next one would wait for its
    place for ever.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])):
        identity = run.tags.get(PROCESS_TAG)
        if identity is None or _is_alive(identity):
            continue
        instance.report_run_failed(run, message="The process of this run was killed; the next run goes on from there.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _identity(process: psutil.Process) -> str:
    """A process of this machine, told apart from a later one with the same number."""
    return f"{platform.node()}:{process.pid}:{process.create_time():.2f}"


def _is_alive(identity: str) -> bool:
    node, number, _ = identity.rsplit(":", 2)
    if node != platform.node():
        # Only the machine itself can tell; a run elsewhere is left to Dagster's own monitoring.
        return True
    try:
        return _identity(psutil.Process(int(number))) == identity
    except psutil.NoSuchProcess:
        return False


def _reason(result: dg.ExecuteInProcessResult) -> str:
    """The first failure of a run: a failed check by name, or the innermost error of a step."""
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            data = event.asset_check_evaluation_data
            if data.passed:
                continue
            broken = data.metadata.get("broken")
            asset, detail = data.asset_key.to_user_string(), broken.value if broken else "no detail"
            return f"{asset}: the check {data.check_name} failed: {detail}"
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            message = (
                error.message.strip().removeprefix("pipeline.errors.") if error is not None else "no error was recorded"
            )
            return f"{event.step_key}: {message}"
    return f"run {result.run_id} failed; see it in the Dagster UI"
