"""Group `ingest`: from GBIF's download to verified photographs with their licences."""

import dagster as dg

from pipeline.dataset.clean import build_clean_occurrences
from pipeline.defs.metadata import mapping_table, picture, records_table, table_result
from pipeline.defs.resources import OWNERS, Scope
from pipeline.fetching.fetch import fetch_photos
from pipeline.folder.photographs import read_photos
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.history.changes import build_changes, changed_species, history, replaced
from pipeline.launching.replica import photo_hosts, source_api
from pipeline.pages.charts import changes_chart, rejections_chart
from pipeline.photos.index import build_photo_index
from pipeline.rejections import counts


@dg.asset(group_name="ingest", kinds={"gbif"}, owners=OWNERS, pool="gbif", code_version="2")
def gbif_download(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The occurrences of the scope as GBIF delivers them, with download key, DOI and citation."""
    settings = scope.settings()
    with source_api(settings) as api:
        record = fetch_source(settings, api=api, log=context.log.info)
    return dg.MaterializeResult(
        metadata={
            "download_key": record.key,
            "doi": record.doi or "none",
            "source": record.origin or record.citation or "none",
            "records": record.total_records or 0,
            "archive": dg.MetadataValue.path(str(settings.paths.data_root / record.archive)),
        },
        data_version=dg.DataVersion(record.sha256),
    )


@dg.asset(group_name="ingest", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[gbif_download], code_version="3")
def occurrences(scope: Scope) -> dg.MaterializeResult[None]:
    """Occurrence and media rows as received, with explicit columns and string keys."""
    settings = scope.settings()
    return table_result(build_occurrences(settings.paths, settings))


@dg.asset(group_name="ingest", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[occurrences], code_version="3")
def clean_occurrences(scope: Scope) -> dg.MaterializeResult[None]:
    """Occurrences of accepted species; every row that a rule removes leaves a line in `rejections`."""
    settings = scope.settings()
    table = build_clean_occurrences(settings.paths, settings)
    removed = counts(settings.paths).get("clean_occurrences", {})
    return table_result(table, removed=mapping_table(removed, columns=("rule", "occurrences removed")))


@dg.asset(
    group_name="ingest",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=[clean_occurrences],
    code_version="3",
)
def photo_index(scope: Scope) -> dg.MaterializeResult[None]:
    """One row per JPEG photograph to fetch: address of the wanted size, canonical licence, holder, creator."""
    settings = scope.settings()
    table = build_photo_index(settings.paths, settings)
    removed = counts(settings.paths).get("photo_index", {})
    return table_result(table, removed=mapping_table(removed, columns=("rule", "photographs removed")))


@dg.asset(group_name="ingest", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[photo_index], code_version="1")
def changes(scope: Scope) -> dg.MaterializeResult[None]:
    """What this snapshot of GBIF brought and took away: new, gone, re-identified and relicensed photographs."""
    settings = scope.settings()
    paths = settings.paths
    comparison = build_changes(paths, settings)
    return table_result(
        paths.table("changes"),
        snapshot=dg.MetadataValue.text(comparison.snapshot.named()),
        compared_with=dg.MetadataValue.text(comparison.compared_with()),
        scope=dg.MetadataValue.text(" ".join(comparison.scope_sentences()) or "unchanged"),
        changes=mapping_table(comparison.counts, columns=("change", "photographs")),
        picture=picture(changes_chart(paths, comparison), title="What the snapshot changed"),
        species=records_table(changed_species(paths, most=10), none="no species has more or fewer photographs"),
        reidentified=records_table(replaced(paths, "re-identified", most=30), none="no photograph was re-identified"),
        relicensed=records_table(replaced(paths, "relicensed", most=100), none="no photograph was relicensed"),
        snapshots=records_table(history(paths), none="no snapshot was indexed"),
    )


@dg.asset(group_name="ingest", kinds={"jpeg"}, owners=OWNERS, deps=[photo_index], pool="photos", code_version="3")
def photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The ledger: every photograph with what became of it; bodies lie under their SHA-256.

    It fails, after the ledger is written, where more photographs wait for another try than `photos.most_failed` allows.
    """
    settings = scope.settings()
    if settings.source.mode == "folder":
        summary = read_photos(settings.paths, settings, log=context.log.info)
    else:
        with photo_hosts(settings) as hosts:
            summary = fetch_photos(settings.paths, settings, hosts=hosts, log=context.log.info)
        summary.require_complete(most_failed=settings.photos.most_failed)
    return table_result(
        settings.paths.table("photos"),
        exclude=("fetched_at", "attempts"),
        requested=dg.MetadataValue.int(summary.requests),
        outcome=mapping_table(summary.statuses, columns=("status", "photographs")),
        removed=picture(rejections_chart(settings.paths), title="What each rule removed"),
    )
