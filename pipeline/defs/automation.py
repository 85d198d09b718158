"""The weekly refresh and the growth sensor; both are off until an operator switches them on in the UI."""

import dagster as dg
import requests

from pipeline.config.settings import load_settings
from pipeline.defs.scope_resource import Scope
from pipeline.errors import GbifError
from pipeline.gbif.growth import grown
from pipeline.launching.replica import source_api

whole_pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all(),
    description="Every asset from GBIF's download to the served model. Unchanged results are reused: "
    "no photograph is fetched twice, no network is trained twice on the same dataset version.",
)

weekly_refresh = dg.ScheduleDefinition(
    name="weekly_refresh",
    job=whole_pipeline,
    cron_schedule=load_settings().refresh.cron,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Asks GBIF for a new download and runs the pipeline on what changed. By default on Mondays at 03:00 "
    "UTC (refresh.cron), as GBIF ingests the iNaturalist dataset once a week. Off until you switch it on.",
)


@dg.sensor(
    job=whole_pipeline,
    minimum_interval_seconds=6 * 3600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Asks GBIF every six hours how many records of the scope it holds, and runs the pipeline when there "
    "are more than the last download had, by the share refresh.growth. Off until you switch it on.",
)
def growth(context: dg.SensorEvaluationContext, scope: Scope) -> dg.SensorResult | dg.SkipReason:
    """Compare GBIF's count for the scope with that of the current download."""
    settings = scope.settings()
    if settings.source.mode in {"archive", "folder"}:
        return dg.SkipReason(f"source.mode {settings.source.mode} does not come from a scope that GBIF could count")
    try:
        with source_api(settings) as api:
            change = grown(settings, api=api)
    except (requests.RequestException, GbifError) as error:
        # The tick is skipped with this reason, and the next one asks again.
        return dg.SkipReason(f"GBIF could not be asked: {error}")
    news = f"{change.now:,} records now, {change.before:,} in the last download"
    context.log.info(news)
    if change.share < settings.refresh.growth:
        return dg.SkipReason(news)
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{change.before}-{change.now}")])
