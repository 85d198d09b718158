"""What the pipeline watches but does not make: the records of the scope at their source."""

import warnings
from collections.abc import Iterator

import dagster as dg

from pipeline.defs.metadata import Metadata
from pipeline.defs.scope_resource import Scope
from pipeline.gbif.observation import Observation, observe
from pipeline.launching.replica import source_api

RECORDS = dg.AssetKey("gbif_records")
DESCRIPTION = (
    "The records of the scope at their source, which a run fetches. *Observe* asks what is there now and fetches "
    "nothing: of GBIF the count of the scope and when its dataset was changed, of an archive what its host or its "
    "file says of it, of one's own photographs their table and files. The sensor growth asks the same. Where a "
    "question gets no answer the observation fails, and the last version stays."
)


def what_is_shown(seen: Observation) -> dict[str, Metadata]:
    """What the UI shows of an observation."""
    facts = {"records": seen.records, "GBIF's dataset was changed": seen.modified}
    return {name: value for name, value in facts.items() if value is not None}


with warnings.catch_warnings():
    # Dagster's observable sources are marked as beta.
    warnings.simplefilter("ignore", category=dg.BetaWarning)

    @dg.multi_observable_source_asset(  # type: ignore[untyped-decorator]
        specs=[
            dg.AssetSpec(
                RECORDS,
                kinds={"gbif"},
                description=DESCRIPTION,
            )
        ],
        name="gbif_records",
    )
    def gbif_records(scope: Scope) -> Iterator[dg.ObserveResult]:
        """Ask the source what it holds now."""
        settings = scope.settings()
        with source_api(settings) as api:
            seen = observe(settings, api=api)
        yield dg.ObserveResult(
            asset_key=RECORDS, data_version=dg.DataVersion(seen.version), metadata={**what_is_shown(seen)}
        )
