"""What starts a run: jobs for people, a schedule for the clock, conditions for what follows; all off at first."""

import dagster as dg

from pipeline.config.settings import load_settings
from pipeline.defs.production import REFRESH, RESEARCH
from pipeline.defs.scope_resource import SCOPE_TAG

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
    "trained twice on the same dataset version. To follow a growing scope, run refresh instead. What takes long the "
    "first time is to fetch "
    f"(at most {_CONFIGURED.photos.requests_per_second:g} photographs a second) and to train: minutes for the sample, "
    "hours to days on a GPU for the species of a country. To try another taxon, country, years, licences or target, "
    "open the Launchpad.",
)

refresh = dg.define_asset_job(
    "refresh",
    selection=REFRESH,
    tags={SCOPE_TAG: _SCOPE},
    description=f"From GBIF's download to the served model of the scope {_SCOPE} in one run, with one network that "
    f"goes on from the champion on a GPU: what `naturewatch refresh` runs. {COST[_CONFIGURED.source.mode]} Unchanged "
    "results are reused. It does at once what weekly_refresh and follow_changes do one after the other; what it has "
    "made they do not make again.",
)

research = dg.define_asset_job(
    "research",
    selection=RESEARCH,
    tags={SCOPE_TAG: _SCOPE},
    description=f"The paper's networks side by side on the present dataset of the scope {_SCOPE}, each trained from "
    "nothing: hours to days on a GPU for a country. Nothing starts it but a person.",
)

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.groups("ingest"),
    # Its steps follow each other: a process for each would only load Dagster anew.
    executor_def=dg.in_process_executor,
    tags={SCOPE_TAG: _SCOPE},
    description=f"Records and photographs of the scope {_SCOPE} as they are now, without a GPU: the group ingest. "
    f"{COST[_CONFIGURED.source.mode]} It fetches photographs that are not here yet, at most "
    f"{_CONFIGURED.photos.requests_per_second:g} a second. The clock starts it (weekly_refresh), or news of the source "
    "(growth), or the moment from which an incomplete fetch goes on (resume_fetch). What follows from it is made by "
    "the sensor follow_changes where that is on, else by a person: the job refresh.",
)

weekly_refresh = dg.ScheduleDefinition(
    name="weekly_refresh",
    job=ingest,
    cron_schedule=_CONFIGURED.refresh.cron,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description=f"Looks for new records and photographs of the scope {_SCOPE}: once a week (refresh.cron), as GBIF "
    f"ingests the iNaturalist dataset once a week. {COST[_CONFIGURED.source.mode]} It runs the job ingest, and uses no "
    "GPU. For a model that follows, switch on follow_changes as well. Off until you switch it on; then Dagster shows "
    "its next time.",
)

follow_changes = dg.AutomationConditionSensorDefinition(
    name="follow_changes",
    target=dg.AssetSelection.groups("dataset", "evaluation", "release"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    run_tags={SCOPE_TAG: _SCOPE},
    description=f"Carries on what ingest found for the scope {_SCOPE}: a run makes the dataset anew where records or "
    "photographs have another content; a second run, only if the dataset that came out is another one, trains the "
    "production network on a GPU, calibrates it, and judges it on the exam before users get it. If nothing has "
    "changed it starts nothing, and it repeats nothing that failed. What the job refresh, `naturewatch refresh` or a "
    "person has made is not made again. It does not train the networks of the paper (job research). Off until you "
    "switch it on: hours on a GPU for a country.",
)
