"""Sensors that look whether a fetch is worth it: news of the source, and an incomplete fetch whose time has come."""

import datetime as dt

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from pipeline.config.settings import load_settings
from pipeline.defs.automation import ingest
from pipeline.defs.ingest import DownloadConfig
from pipeline.defs.observed import RECORDS, what_is_shown
from pipeline.defs.scope_resource import Scope
from pipeline.gbif.client import UnreachableError
from pipeline.gbif.growth import growth_of
from pipeline.gbif.observation import observe
from pipeline.launching.replica import source_api
from pipeline.photos.incomplete import IncompleteFetch

_CONFIGURED = load_settings()
"""As the UI started with it; each tick reads the configuration anew."""
_SCOPE = _CONFIGURED.name

NEW_DOWNLOAD = dg.RunConfig(ops={"gbif_download": DownloadConfig(max_age_days=0.0)})
"""The last download is not used again, however fresh it is."""


@dg.sensor(
    job=ingest,
    minimum_interval_seconds=6 * 3600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=f"Asks every six hours what the source of the scope {_SCOPE} holds now, by one or two small requests "
    "that return no records, and notes it beside gbif_records. Where GBIF has more records than the last download, by "
    f"the share refresh.growth ({100 * _CONFIGURED.refresh.growth:g} %), or where there is another archive, or a "
    "table of your own photographs has changed, it runs the job ingest with a new download, also if the last one is "
    "fresh. The same growth starts one run, whatever becomes of that run. Off until you switch it on.",
)
def growth(context: dg.SensorEvaluationContext, scope: Scope) -> dg.SensorResult | dg.SkipReason:
    """Compare what the source holds with what was fetched last.

    Raises:
        GbifError: GBIF refused, or another version of NatureWatch wrote down what was fetched.
        ArchiveError: there is no archive.
        FolderError: the table of one's own photographs cannot be read.
    """
    if busy := _unfinished(context.instance):
        return dg.SkipReason(busy)
    settings = scope.settings()
    try:
        with source_api(settings) as api:
            seen = observe(settings, api=api)
    except UnreachableError as error:
        # The next tick asks again.
        return dg.SkipReason(f"the source could not be asked: {error}")
    noted = dg.AssetObservation(RECORDS, tags={DATA_VERSION_TAG: seen.version}, metadata={**what_is_shown(seen)})
    found = growth_of(settings, seen, today=dt.datetime.now(tz=dt.UTC).date())
    context.log.info(found.said)
    if found.key is None:
        return dg.SensorResult(skip_reason=found.said, asset_events=[noted])
    request = dg.RunRequest(run_key=found.key, run_config=NEW_DOWNLOAD)
    return dg.SensorResult(run_requests=[request], asset_events=[noted])


@dg.sensor(
    job=ingest,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=f"Goes on with an incomplete fetch of the scope {_SCOPE}: where a run ended because a photo host was "
    "in trouble, it runs the job ingest once at the moment that the host named, else some hours later. What was "
    "fetched is kept; only missing photographs are asked for. If that run is incomplete, too, it names a later moment. "
    "Off until you switch it on.",
)
def resume_fetch(context: dg.SensorEvaluationContext, scope: Scope) -> dg.RunRequest | dg.SkipReason:
    """Start one run for each record of an incomplete fetch, when its time has come.

    Raises:
        TableError: the record is damaged.
    """
    record = IncompleteFetch.read(scope.settings().paths)
    if record is None:
        return dg.SkipReason("the last fetch was complete")
    if dt.datetime.now(tz=dt.UTC) < record.retry_at:
        return dg.SkipReason(f"{record.reason} (goes on at {record.retry_at:%Y-%m-%d %H:%M} UTC)")
    if busy := _unfinished(context.instance):
        return dg.SkipReason(busy)
    return dg.RunRequest(run_key=f"incomplete at {record.recorded_at.isoformat()}")


def _unfinished(instance: dg.DagsterInstance) -> str | None:
    """Who is at work: a run that waits may ask for a download, too."""
    runs = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES), limit=1)
    return f"run {runs[0].run_id[:8]} of {runs[0].job_name} is not finished" if runs else None
