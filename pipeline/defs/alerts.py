"""Tells people of runs that failed: a step, the gate, an incomplete fetch, a killed process. Off where nobody is named.

The command line says itself why its run failed; where a daemon runs beside it (`naturewatch ui`), it is told, too.
"""

from typing import cast

import dagster as dg

from pipeline.config.settings import load_settings
from pipeline.defs.scope_resource import ORIGIN_TAG, SCOPE_TAG, Scope, origin
from pipeline.failures import written_lines
from pipeline.launching.interrupts import Interrupted
from pipeline.launching.pools import PROCESS_TAG
from pipeline.notices import tell

_CONFIGURED = load_settings()
"""As the UI started with it; each tick reads the configuration anew."""

FAILURES = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
"""The events that tell why a run failed."""


def message(run: dg.DagsterRun, events: list[dg.DagsterEvent], *, scope: str, ui: str) -> tuple[str, str]:
    """The subject, and what a person needs: which run, started by whom, what failed at which step, and where to look.

    Args:
        run: The run.
        events: Its events of the types in `FAILURES`, in order.
        scope: The name of the scope, where the run does not say it.
        ui: The address of Dagster's UI.
    """
    job = "" if run.job_name.startswith("__") else f" of the job {run.job_name}"
    try:
        lines = written_lines(events, run_id=run.run_id)
    except Interrupted:
        lines = ["it was interrupted: by a person, or because the machine was stopped"]
    subject = f"NatureWatch {run.tags.get(SCOPE_TAG, scope)}: run {run.run_id[:8]}{job} failed"
    # Until its first step says so; runs of Dagster's get the tag of a command's process, too.
    dagsters = {name: value for name, value in run.tags.items() if name != PROCESS_TAG}
    who = run.tags.get(ORIGIN_TAG) or origin(run.tags if run.remote_job_origin is None else dagsters)
    started = f"started by: {who}"
    return subject, "\n".join([*(f"- {line}" for line in lines), started, f"{ui.rstrip('/')}/runs/{run.run_id}"])


@dg.run_failure_sensor(
    name="alerts",
    # Also runs of `naturewatch run`, which belong to no code location.
    monitor_all_code_locations=True,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING if _CONFIGURED.alerts.on else dg.DefaultSensorStatus.STOPPED,
    description=f"Tells people when a run of the scope {_CONFIGURED.name} fails, by chat or mail (the section alerts "
    "of the configuration): scope, run, step, the reason in one line, and the address of the run. A model that the "
    "gate refuses and an incomplete fetch are failed runs, too. On if the configuration names somebody.",
)
def alerts(context: dg.RunFailureSensorContext, scope: Scope) -> dg.SkipReason | None:
    """Send one message for each failed run.

    Raises:
        NoticeError: it could not be sent; the tick shows this.
    """
    settings = scope.settings()
    if not settings.alerts.on:
        return dg.SkipReason("the configuration names nobody to tell: see its section alerts")
    run = context.dagster_run
    logs = context.instance.all_logs(run.run_id, of_type=FAILURES)
    events = [cast("dg.DagsterEvent", entry.dagster_event) for entry in logs]
    subject, text = message(run, events, scope=settings.name, ui=settings.registry.dagster_url)
    told = tell(settings.alerts, subject=subject, text=text)
    context.log.info(f"told {' and '.join(told)}")  # noqa: G004 (Dagster's logger)
    return None
