"""Checks: each reads what an asset wrote and states one property. A blocking one that fails stops what follows."""

import dagster as dg

from pipeline.dataset import invariants
from pipeline.dataset.leakage import leakage
from pipeline.dataset.manifest import balance
from pipeline.defs.metadata import thumbnail
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR
from pipeline.pages.photo_sheets import leaked_pairs
from pipeline.tables import CONTRACTS, check_table


def _verdict(broken: list[str], **metadata: float) -> dg.AssetCheckResult:
    """Passed when no rule is broken; the broken ones are listed."""
    return dg.AssetCheckResult(
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "broken": dg.MetadataValue.md("\n".join(f"- {line}" for line in broken) or "none"),
            **metadata,
        },
    )


def _contract(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        op_tags=PROCESSOR,
        asset=table,
        name=f"{table}_contract",
        description=f"Columns, types and values of `{table}` are as the data contract promises.",
        blocking=True,
    )
    def contract(scope: Scope) -> dg.AssetCheckResult:
        paths = scope.settings().paths
        return _verdict(check_table(table, paths.pack_index if table == "training_photos" else paths.table(table)))

    return contract


contracts = [_contract(table) for table in CONTRACTS]
"""One check for each table."""


@dg.asset_check(op_tags=PROCESSOR, asset="species", blocking=True)
def species_have_enough_photographs(scope: Scope) -> dg.AssetCheckResult:
    """No species has fewer usable photographs than `split.min_images`."""
    settings = scope.settings()
    return _verdict(invariants.small_species(settings.paths, minimum=settings.split.min_images))


@dg.asset_check(op_tags=PROCESSOR, asset="taxonomy", blocking=True)
def taxonomy_is_a_tree(scope: Scope) -> dg.AssetCheckResult:
    """There is one root, every other node has a parent, and nodes are numbered in preorder with nested leaf ranges."""
    return _verdict(invariants.tree(scope.settings().paths))


@dg.asset_check(op_tags=PROCESSOR, asset="split", blocking=True)
def no_observation_on_both_sides(scope: Scope) -> dg.AssetCheckResult:
    """Photographs of one observation are all on one side (does not apply to the split by photograph)."""
    settings = scope.settings()
    return _verdict(invariants.straddling_observations(settings.paths) if settings.split.unit != "photo" else [])


@dg.asset_check(op_tags=PROCESSOR, asset="split", blocking=True)
def train_share_is_near_target(scope: Scope) -> dg.AssetCheckResult:
    """The training share is as near to 1 - `split.validation` as chance allows (five standard errors)."""
    settings = scope.settings()
    share, broken = invariants.train_share(
        settings.paths, unit=settings.split.unit, validation=settings.split.validation
    )
    return _verdict(broken, train_share=share)


@dg.asset_check(
    op_tags=PROCESSOR,
    asset="split",
    blocking=True,
    additional_deps=["occurrences", "media", "clean_occurrences", "photo_index", "photos", "species", "rejections"],
)
def counts_add_up(scope: Scope) -> dg.AssetCheckResult:
    """From occurrences to the split, every row that left the pipeline left a line in `rejections`."""
    return _verdict(balance(scope.settings().paths))


@dg.asset_check(op_tags=PROCESSOR, asset="leakage", additional_deps=["split", "photos", "taxonomy"], blocking=False)
def no_near_duplicates_across_sides(scope: Scope) -> dg.AssetCheckResult:
    """No validation photograph looks like a training photograph. If some do, the run goes on with a warning."""
    settings = scope.settings()
    paths = settings.paths
    found = leakage(paths)
    return dg.AssetCheckResult(
        passed=not found.leaked,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "leaked": found.leaked,
            "validation": found.validation,
            "share": found.share,
            "pairs": found.pairs,
            "pairs_of_one_species": found.same_species,
            "examples": thumbnail(leaked_pairs(paths, settings), title="Near-identical photographs"),
        },
    )
