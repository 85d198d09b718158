"""The job `prune`, and its schedule: removes what nothing needs. Off until an operator switches it on in the UI."""

import dagster as dg

from pipeline.defs.scope_resource import Scope
from pipeline.retention.pruning import carry_out, planned
from pipeline.retention.removals import Plan


class PruneConfig(dg.Config):
    """What the job does."""

    remove: bool = False
    """Whether things are removed; else the run only says what would go."""


@dg.op
def prune_data(context: dg.OpExecutionContext, config: PruneConfig, scope: Scope) -> None:
    """Say what nothing needs any more by the section `retention` of the configuration, and remove it where asked."""
    settings = scope.settings()
    with planned(settings, context.instance, run_id=context.run_id) as plan:
        context.add_output_metadata({"items": plan.number, "bytes": plan.bytes, "plan": _table(plan)})
        for note in plan.notes:
            context.log.warning(note)
        if config.remove:
            carry_out(settings, context.instance, plan, log=context.log.info)


def _table(plan: Plan) -> dg.TableMetadataValue:
    """What goes, by kind."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {"what": line.kind.value, "number": line.number, "bytes": line.bytes, "why": "; ".join(line.reasons)}
            )
            for line in plan.lines()
        ],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("what", "string"),
                dg.TableColumn("number", "int"),
                dg.TableColumn("bytes", "int"),
                dg.TableColumn("why", "string"),
            ]
        ),
    )


@dg.job(
    executor_def=dg.in_process_executor,
    description="Says what nothing needs any more: trainings of earlier datasets, photographs that no dataset names, "
    "old runs and logs, and what killed runs left. With `remove: true` in the Launchpad it removes it. Never the "
    "champion, nor anything that a kept model version needs. The section `retention` of the configuration is the "
    "policy.",
)
def prune() -> None:
    """One step."""
    prune_data()


monthly_prune = dg.ScheduleDefinition(
    name="monthly_prune",
    job=prune,
    cron_schedule="0 12 1 * *",
    execution_timezone="UTC",
    run_config={"ops": {"prune_data": {"config": {"remove": True}}}},
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Removes what nothing needs any more, on the first day of each month. Off until you switch it on; "
    "`naturewatch prune` says what would go.",
)
