"""Group `ingest`: from GBIF's download to verified photographs with their licences."""

import datetime as dt
import math
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from pipeline.dataset.clean import build_clean_occurrences
from pipeline.defs.logged import shown_by
from pipeline.defs.metadata import (
    TABLE,
    Metadata,
    code_version,
    doi,
    mapping_table,
    percentage,
    records_table,
    removed_table,
    result,
    table_result,
    table_results,
)
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR
from pipeline.fetching.fetch import fetch_photos
from pipeline.fetching.own_photographs import read_photos
from pipeline.gbif.download import FRESH
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.history.changes import Comparison, build_changes, changed_species, history, relicensed, replaced
from pipeline.launching.replica import photo_hosts, source_api
from pipeline.paths import Paths
from pipeline.photos.index import build_photo_index
from pipeline.rejections import removed_by


class DownloadConfig(dg.Config):
    """How GBIF is asked."""

    max_age_days: float = Field(
        default=FRESH / dt.timedelta(days=1),
        ge=0,
        description="Go on with the last download of this scope if it is at most so many days old; 0 asks GBIF for a "
        "new one now. Concerns source.mode download and replica: the other modes look for changes in every run.",
    )


@dg.asset(op_tags=PROCESSOR, kinds={"gbif"}, deps=["gbif_records"], pool="gbif", code_version="2")
def gbif_download(
    context: dg.AssetExecutionContext, scope: Scope, config: DownloadConfig
) -> dg.MaterializeResult[None]:
    """The occurrences of the scope as GBIF delivers them, with download key, DOI and citation.

    A download of a large scope takes GBIF up to three hours. A run that is killed meanwhile goes on with the same
    download; one that was fetched is used while it is fresh.
    """
    settings = scope.settings()
    max_age = dt.timedelta(days=config.max_age_days)
    with source_api(settings) as api:
        record = fetch_source(settings, api=api, log=context.log.info, max_age=max_age)
    return result(
        context,
        settings,
        data_version=record.sha256,
        metadata={
            "records": record.total_records or 0,
            "source": record.origin or record.citation or "none",
            "DOI": doi(settings, record.doi),
            "download key": record.key,
            "path": dg.MetadataValue.path(str(settings.paths.data_root / record.archive)),
        },
    )


OCCURRENCES_VERSION = code_version("occurrences", "media", "occurrence_rejections", "rejection_lines", python=3)


@dg.multi_asset(
    op_tags=PROCESSOR,
    specs=[
        dg.AssetSpec(
            "occurrences",
            deps=["gbif_download"],
            kinds=TABLE,
            code_version=OCCURRENCES_VERSION,
            description="One row per occurrence as received, with explicit columns and text keys.",
        ),
        dg.AssetSpec(
            "media",
            deps=["gbif_download"],
            kinds=TABLE,
            code_version=OCCURRENCES_VERSION,
            description="One row per photograph, sound or film of an occurrence as received, with address and licence.",
        ),
    ],
    can_subset=True,
)
def occurrences(context: dg.AssetExecutionContext, scope: Scope) -> Iterator[dg.MaterializeResult[None]]:
    """Read the archive once, and write both tables."""
    settings = scope.settings()
    build_occurrences(settings.paths, settings)
    tables = {name: settings.paths.table(name) for name in ("occurrences", "media")}
    removed = removed_table(removed_by(settings.paths, "occurrences"), unit="lines")
    yield from table_results(context, settings, tables, metadata={"occurrences": {"left out": removed}})


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["occurrences"],
    code_version=code_version(
        "absent_taxa", "licence_texts", "occurrence_translation", "occurrence_verdicts", "clean_rejections",
        "beyond_scope", "clean_occurrences", "rejection_lines", python=3,
    ),
)  # fmt: skip
def clean_occurrences(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Occurrences of accepted species within the scope. Every row that a rule removes leaves a line in `rejections`."""
    settings = scope.settings()
    table = build_clean_occurrences(settings.paths, settings)
    removed = removed_table(removed_by(settings.paths, "clean_occurrences"), unit="records")
    return table_result(context, settings, table, metadata={"left out": removed})


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["media", "clean_occurrences"],
    code_version=code_version(
        "licence_texts", "photo_index_verdicts", "photo_index_rejections", "photo_index", "rejection_lines", python=3
    ),
)
def photo_index(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """One row per JPEG photograph to fetch: address of the wanted size, canonical licence, holder, creator."""
    settings = scope.settings()
    table = build_photo_index(settings.paths, settings)
    removed = removed_table(removed_by(settings.paths, "photo_index"), unit="photographs")
    return table_result(context, settings, table, metadata={"left out": removed})


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["gbif_download", "clean_occurrences", "photo_index"],
    code_version=code_version(
        "snapshot_index", "snapshot_photographs", "changes", "changes_species", "changes_replaced",
        "changes_relicensed", python=1,
    ),
)  # fmt: skip
def changes(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """What GBIF's last snapshot brought and took away: new, gone, re-identified and relicensed photographs."""
    settings = scope.settings()
    paths = settings.paths
    comparison = build_changes(paths, settings)
    return table_result(context, settings, paths.table("changes"), metadata=_what_changed(paths, comparison))


def _what_changed(paths: Paths, comparison: Comparison) -> dict[str, Metadata]:
    """What the UI shows of a snapshot: the numbers, then the species and licences behind them."""
    species = [{name: row[name] for name in ("species", "gained", "lost")} for row in changed_species(paths, most=10)]
    left = [
        {"photograph": row["photo_id"], "species": row["species"], "licence now": row["licence_after"]}
        for row in relicensed(paths, most=30)
        if row["effect"] == "left"
    ]
    snapshots = [{name: row[name] for name in ("snapshot", "indexed", "new", "gone")} for row in history(paths)]
    return {
        "in short": ", ".join(f"{number:,} {kind}" for kind, number in comparison.counts.items()),
        "snapshot": comparison.snapshot.named(),
        "compared with": comparison.compared_with(),
        "changes of the scope": " ".join(comparison.scope_sentences()) or "none",
        "photographs that changed": mapping_table(comparison.counts, columns=("change", "photographs")),
        "gained and lost": records_table(species, none="no species has more or fewer photographs"),
        "re-identified": records_table(replaced(paths, "re-identified", most=30), none="no photograph"),
        "relicensed": records_table(replaced(paths, "relicensed", most=100), none="no photograph"),
        "left for their new licence": records_table(left, none="no photograph"),
        "snapshots": records_table(snapshots, none="no snapshot was indexed"),
        "page and picture": shown_by("dataset_page"),
    }


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"jpeg"},
    deps=["photo_index"],
    pool="photos",
    code_version=code_version(
        "photos", "photos_authorities", "photos_outcome", "photos_pending", "photos_received", "photos_rejections",
        "rejection_lines", python=3,
    ),
)  # fmt: skip
def photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The ledger: one row per photograph with the outcome of fetching and verifying it. Files are named by SHA-256.

    The run fails, after the ledger is written, if more photographs wait for another attempt than `photos.most_failed`
    allows, or if a host was left alone. `fetch/incomplete.json` then says when to try again.
    """
    settings = scope.settings()
    if settings.source.mode == "folder":
        summary = read_photos(settings.paths, settings, log=context.log.info)
    else:
        with photo_hosts(settings) as hosts:
            summary = fetch_photos(settings.paths, settings, hosts=hosts, log=context.log.info)
        wanted = settings.photos
        summary.require_complete(most_failed=wanted.most_failed, optional_hosts=wanted.optional_hosts)
    asked = sum(summary.statuses.values())
    return table_result(
        context,
        settings,
        settings.paths.table("photos"),
        exclude=("fetched_at", "attempts"),
        metadata={
            "usable (%)": percentage(summary.statuses.get("ok", 0) / asked if asked else math.nan),
            "requests of this run": summary.requests,
            "outcome": mapping_table(summary.statuses, columns=("status", "photographs")),
        },
    )
