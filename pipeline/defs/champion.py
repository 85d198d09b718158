"""Group `release`, its end: the version that users get, moved by the gate or, as a job, by a person."""

import dagster as dg
from pydantic import Field

from pipeline.config.settings import Settings, load_settings
from pipeline.defs.metadata import Metadata, result
from pipeline.defs.mlflow_runs import mlflow_answers
from pipeline.defs.scope_resource import SCOPE_TAG, Scope
from pipeline.defs.together import PROCESSOR
from pipeline.defs.version_links import numbers_and_links
from pipeline.errors import RegistryError
from pipeline.exam.decision import read_decision
from pipeline.registry.promotion import Promotion, promote, promote_challenger


@dg.asset(op_tags=PROCESSOR, kinds={"mlflow"}, deps=["candidate", "exam_answers"], code_version="2")
def champion(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The model version that users are served: the challenger if the gate let it pass, else the one from before.

    A champion that a person pinned stays whatever the gate says.
    """
    settings = scope.settings()
    mlflow_answers(settings)
    decision = read_decision(settings)
    done = promote_challenger(settings, decision, by=f"the gate, Dagster run {context.run.run_id}")
    context.log.info(done.reason)
    if done.champion is None:
        raise RegistryError(f"there is no champion: {done.reason}")
    metadata = {**_shown(settings, done), "challenger": decision.challenger}
    return result(context, settings, data_version=done.champion, metadata=metadata)


class PromoteConfig(dg.Config):
    """Which version, and why; `naturewatch promote` has the same options."""

    version: str = Field(
        description="Number of a version, `previous` for the one that the champion replaced, or an alias."
    )
    why: str = Field(description="The reason, kept with the version.")
    force: str | None = Field(default=None, description="Why a version is promoted that never passed the exam.")
    pin: str | None = Field(
        default=None,
        description="Why no refresh may replace it. It stays until somebody promotes a version without this reason.",
    )


@dg.op(tags=PROCESSOR)
def promote_version(context: dg.OpExecutionContext, scope: Scope, config: PromoteConfig) -> None:
    """Make a version the champion, and show what became of it."""
    settings = scope.settings()
    mlflow_answers(settings)
    done = promote(
        settings,
        config.version,
        by=f"Dagster run {context.run.run_id}",
        why=config.why,
        force=config.force,
        pin=config.pin,
    )
    context.log.info(done.reason)
    if done.champion is not None:
        context.log_event(
            dg.AssetMaterialization(
                "champion", metadata=_shown(settings, done), tags={"dagster/data_version": done.champion}
            )
        )


@dg.job(
    name="promote",
    tags={SCOPE_TAG: load_settings().name},
    description="Makes a registered version the champion, which users get: a rollback (`previous`), a version that the "
    "gate refused (`force`), one that no refresh may replace (`pin`). Open the Launchpad and fill in its fields.",
)
def promote_job() -> None:
    """A person's choice."""
    promote_version()


def _shown(settings: Settings, done: Promotion) -> dict[str, Metadata]:
    """What the UI shows of a promotion."""
    assert done.champion is not None  # noqa: S101 (the callers see to it)
    return {
        "version": f"{settings.registry.model_name} {done.champion}",
        **numbers_and_links(settings, done.champion),
        "decision": done.reason,
        "replaced": done.replaced or "no version",
        "promoted": "yes" if done.promoted else "no",
    }
