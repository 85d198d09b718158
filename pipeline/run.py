"""Takes the road in this process: what `naturewatch run` does. The same assets run from the UI and on schedules."""

import warnings

import dagster as dg

from pipeline.definitions import defs
from pipeline.errors import ConfigurationError


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
        result = job.execute_in_process(
            asset_selection=sorted(keys),
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
        )
        return None if result.success else _reason(result)


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
