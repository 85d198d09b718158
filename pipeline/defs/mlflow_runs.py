"""What the assets that log to MLflow share: its server may be down for a moment, and its runs lead back to Dagster."""

import dagster as dg

from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.registry.commit import code_commit
from pipeline.tracking.server import check_answers

ATTEMPTS = 3
"""How often a step is retried while MLflow's server does not answer."""
PAUSE_SECONDS = 60.0
"""Between two attempts: a server that is restarted answers within a minute."""


def mlflow_answers(settings: Settings) -> None:
    """Ask Dagster to retry the step later if MLflow's server does not answer; assets that log to MLflow call it first.

    This is the only retry that Dagster makes. GBIF's client repeats its own requests, the photo ledger knows what to
    fetch again, and every other failure needs a person: a `RetryPolicy`, which repeats a step whatever went wrong,
    would only hide it.

    Raises:
        dagster.RetryRequested: the server cannot be reached; Dagster waits and starts the step again.
    """
    try:
        check_answers(settings)
    except RegistryError as error:
        raise dg.RetryRequested(max_retries=ATTEMPTS, seconds_to_wait=PAUSE_SECONDS) from error


def run_tags(settings: Settings, context: dg.AssetExecutionContext) -> dict[str, str]:
    """Tags that lead from an MLflow run back to the Dagster run that made it."""
    run_id = context.run.run_id
    return {
        "dagster.run_id": run_id,
        "dagster.run_url": f"{settings.registry.dagster_url.rstrip('/')}/runs/{run_id}",
        "git.commit": code_commit(),
    }
