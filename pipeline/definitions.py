"""Everything Dagster loads, listed one by one: `dagster dev -w workspace.yaml`."""

import functools
import os
from types import ModuleType

import dagster as dg

from ml.spec import MLFLOW_DEFAULTS
from pipeline.config.settings import load_settings
from pipeline.defs import (
    alerts,
    automation,
    champion,
    checks,
    dataset,
    evaluation,
    exam,
    history,
    ingest,
    labels,
    observed,
    production,
    release,
    reporting,
    retention,
    training,
    watching,
)
from pipeline.defs.conditions import automated
from pipeline.defs.console import console
from pipeline.defs.freshness import watched
from pipeline.defs.metadata import described
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import executor_config
from pipeline.launching import pools
from pipeline.launching.launch import TERMINATION_SECONDS

os.environ.update({**MLFLOW_DEFAULTS, **os.environ})
pools.install()


def _group(module: ModuleType, name: str) -> list[dg.AssetsDefinition]:
    """The assets of one module as the group `name`."""
    loaded = dg.load_assets_from_modules([module], group_name=name)
    shown = functools.partial(described, scope=load_settings().name)
    return [
        asset.map_asset_specs(lambda spec: watched(automated(shown(spec))))
        for asset in loaded
        if isinstance(asset, dg.AssetsDefinition)
    ]


defs = dg.Definitions(
    assets=[
        *_group(observed, "ingest"),
        *_group(ingest, "ingest"),
        *_group(history, "dataset"),
        *_group(dataset, "dataset"),
        *_group(training, "training"),
        *_group(evaluation, "evaluation"),
        *_group(production, "release"),
        *_group(labels, "evaluation"),
        *_group(release, "release"),
        *_group(exam, "release"),
        *_group(champion, "release"),
        *_group(reporting, "release"),
    ],
    asset_checks=dg.load_asset_checks_from_modules([checks]),
    jobs=[
        automation.whole_pipeline,
        automation.refresh,
        automation.research,
        automation.ingest,
        champion.promote_job,
        retention.prune,
    ],
    schedules=[automation.weekly_refresh, retention.monthly_prune],
    sensors=[automation.follow_changes, watching.growth, watching.resume_fetch, alerts.alerts],
    loggers={"console": console},
    resources={
        "scope": Scope(),
        "pipes": dg.PipesSubprocessClient(termination_timeout_seconds=TERMINATION_SECONDS),
    },
    # A step begins as a copy of one process that has loaded all this, not by loading it again.
    executor=dg.multiprocess_executor.configured(
        {
            **executor_config(),
            "start_method": {"forkserver": {"preload_modules": ["pipeline.definitions"]}},
        }
    ),
)


def whole_pipeline() -> dg.JobDefinition:
    """All assets as one job; a function, so that the processes of its steps can make it again."""
    return defs.resolve_job_def(automation.whole_pipeline.name)
