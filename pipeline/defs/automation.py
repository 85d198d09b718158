"""The weekly refresh and the growth sensor; both are off until an operator switches them on in the UI."""

import dagster as dg
import requests

from pipeline.config.settings import load_settings
from pipeline.defs.resources import Scope
from pipeline.errors import GbifError
from pipeline.gbif.growth import grown
from pipeline.launching.replica import source_api

road = dg.define_asset_job(
    "road",
    selection=dg.AssetSelection.all(),
    description="The whole road; what has not changed is found done and costs seconds.",
)

weekly_refresh = dg.ScheduleDefinition(
    name="weekly_refresh",
    job=road,
    cron_schedule=load_settings().refresh.cron,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Asks GBIF for a new download and takes the road again. By default on Mondays at 03:00 UTC: "
    "GBIF ingests the iNaturalist dataset once a week.",
)


@dg.sensor(
    job=road,
    minimum_interval_seconds=6 * 3600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Takes the road again when GBIF holds clearly more records of the scope than the last download.",
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
        # A sensor tick that cannot reach GBIF is skipped with its reason, and the next tick asks again.
        return dg.SkipReason(f"GBIF could not be asked: {error}")
    news = f"{change.now:,} records now, {change.before:,} in the last download"
    context.log.info(news)
    if change.share < settings.refresh.growth:
        return dg.SkipReason(news)
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{change.before}-{change.now}")])
