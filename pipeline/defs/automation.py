"""The weekly refresh and the growth sensor; both are off until an operator switches them on in the UI."""

import dagster as dg
import requests

from pipeline.config.settings import load_settings
from pipeline.defs.scope_resource import SCOPE_TAG, Scope
from pipeline.errors import GbifError
from pipeline.gbif.growth import grown
from pipeline.launching.replica import source_api

_CONFIGURED = load_settings()
"""As the UI started with it; each run reads the configuration anew."""
_SCOPE = _CONFIGURED.name

COST = {
    "replica": "It asks nothing of GBIF: the embedded server invents its records.",
    "search": "It asks GBIF for the scope page by page, 300 records each.",
    "download": "It asks GBIF for one download, which takes minutes to three hours to prepare, unless one is fresh.",
    "archive": "It asks the host of the archive whether it has changed, and reads it.",
    "folder": "It asks nothing of GBIF: the photographs are your own.",
}
"""What a run asks of others, by `source.mode`."""

whole_pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all(),
    tags={SCOPE_TAG: _SCOPE},
    description=f"Every asset from GBIF's download to the served model, for the scope {_SCOPE}. "
    f"{COST[_CONFIGURED.source.mode]} Unchanged results are reused: no photograph is fetched twice, no network is "
    "trained twice on the same dataset version. What takes long the first time is to fetch "
    f"(at most {_CONFIGURED.photos.requests_per_second:g} photographs a second) and to train: minutes for the sample, "
    "hours to days on a GPU for the species of a country. To try another taxon, country, years, licences or target, "
    "open the Launchpad.",
)

weekly_refresh = dg.ScheduleDefinition(
    name="weekly_refresh",
    job=whole_pipeline,
    cron_schedule=_CONFIGURED.refresh.cron,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description=f"Runs the pipeline of the scope {_SCOPE} on what changed: once a week (refresh.cron), as GBIF ingests "
    f"the iNaturalist dataset once a week. {COST[_CONFIGURED.source.mode]} If photographs changed, all networks are "
    "trained anew: hours to days on a GPU for a country. Off until you switch it on; then Dagster shows its next time.",
)


@dg.sensor(
    job=whole_pipeline,
    minimum_interval_seconds=6 * 3600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=f"Asks GBIF every six hours how many records of the scope {_SCOPE} it holds: one small request that "
    "returns no records. Where there are more than the last download had, by the share refresh.growth "
    f"({100 * _CONFIGURED.refresh.growth:g} %), it runs the pipeline, which costs as much as weekly_refresh. Off until "
    "you switch it on.",
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
