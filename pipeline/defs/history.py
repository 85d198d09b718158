"""Assets that compare this dataset with the last one before any network learns from it."""

import dagster as dg
from pydantic import Field

from pipeline.dataset.manifest import content_hash
from pipeline.defs.logged import shown_by
from pipeline.defs.metadata import TABLE, Metadata, code_version, percentage, records_table, result, table_result
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR
from pipeline.files import digest_of
from pipeline.history.drift import KINDS, build_drift, last_distances, moves
from pipeline.history.losses import LossRecord, build_losses, lost_photographs, lost_species, scope_changes
from pipeline.paths import Paths
from pipeline.query import count

_NAMED = 50
"""Lost species that the UI lists."""


class LossesConfig(dg.Config):
    """Whether a dataset may be smaller than the last one."""

    accept: str = Field(
        default="",
        description="Why more species or photographs may be lost than refresh.most_lost_species and "
        "refresh.most_lost_photos allow. Any text lets this run pass, and is kept with the decision. Empty: the run "
        "stops before the dataset is built, and lists what would be lost.",
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photo_index", "changes", "photos"],
    code_version=code_version(
        "photo_verdicts", "losses_kept", "losses", "losses_by_reason", "losses_species", python=1
    ),
)  # fmt: skip
def losses(context: dg.AssetExecutionContext, scope: Scope, config: LossesConfig) -> dg.MaterializeResult[None]:
    """What the next dataset would lose against the last one: species and photographs, and why.

    More than `refresh.most_lost_species` or `refresh.most_lost_photos` stops the run here, with every table of the last
    dataset as it was, until a person gives a reason to let it pass.
    """
    settings = scope.settings()
    paths = settings.paths
    record = build_losses(paths, settings, accept=config.accept)
    table = paths.table("losses")
    return result(
        context,
        settings,
        # Whether it passed counts as well: what waited for that must not look up to date.
        data_version=digest_of(content_hash(table), record.passed),
        metadata={"dagster/row_count": count(table), **_lost(paths, record), "path": dg.MetadataValue.path(str(table))},
    )


def _lost(paths: Paths, record: LossRecord) -> dict[str, Metadata]:
    """What the UI shows of a comparison."""
    return {
        "in short": record.sentence(),
        "decision": "passes" if record.passed and not record.accepted else record.accepted or "stops",
        "lost photographs by reason": records_table(lost_photographs(paths), none="no photograph"),
        "lost species": records_table(
            [{name: row[name] for name in ("species", "photos", "why")} for row in lost_species(paths)[:_NAMED]],
            none="no species",
        ),
        "changes of the scope": " ".join(scope_changes(record)) or "none",
    }


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photo_index", "changes"],
    code_version=code_version("snapshot_shares", "drift", "drift_distances", "drift_moves", python=1),
)
def drift(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """How the photographs of this snapshot and of the one before are distributed, and how far that is apart.

    Shares of classes, species, regions, months, years and licences; the distance is the total variation, from 0 to 1.
    """
    settings = scope.settings()
    paths = settings.paths
    table = build_drift(paths)
    moved = [
        {"of": KINDS[row["kind"]], "value": row["value"], "before (%)": _per_cent(row["share_before"]),
         "now (%)": _per_cent(row["share"])}
        for row in moves(paths, most=5)
    ]  # fmt: skip
    found = last_distances(paths)
    return table_result(
        context,
        settings,
        table,
        metadata={
            **{f"distance of {KINDS[kind]} (%)": percentage(distance) for kind, distance in found.items()},
            "what moved most": records_table(moved, none="nothing, or there is no snapshot before"),
            "page and picture": shown_by("dataset_page"),
        },
    )


def _per_cent(share: float) -> float:
    return round(100 * share, 1)
