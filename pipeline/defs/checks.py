"""Checks: each reads what an asset wrote and states one property. A blocking one that fails stops what follows."""

import dagster as dg

from pipeline.dataset import invariants
from pipeline.dataset.leakage import leakage
from pipeline.dataset.manifest import balance
from pipeline.defs import dataset, ingest
from pipeline.defs.metadata import thumbnail
from pipeline.defs.scope_resource import Scope
from pipeline.pages.photo_sheets import leaked_pairs
from pipeline.tables import check_table


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


def _contract(scope: Scope, name: str) -> dg.AssetCheckResult:
    return _verdict(check_table(name, scope.settings().paths.table(name)))


@dg.asset_check(asset="occurrences", blocking=True)
def occurrences_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `occurrences` are as the data contract promises."""
    return _contract(scope, "occurrences")


@dg.asset_check(asset="media", blocking=True)
def media_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `media` are as the data contract promises."""
    return _contract(scope, "media")


@dg.asset_check(asset=ingest.clean_occurrences, blocking=True)
def clean_occurrences_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `clean_occurrences` are as the data contract promises."""
    return _contract(scope, "clean_occurrences")


@dg.asset_check(asset=ingest.photo_index, blocking=True)
def photo_index_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `photo_index` are as the data contract promises."""
    return _contract(scope, "photo_index")


@dg.asset_check(asset=ingest.changes, blocking=True)
def changes_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `changes` are as the data contract promises."""
    return _contract(scope, "changes")


@dg.asset_check(asset=ingest.photos, blocking=True)
def photos_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of the ledger `photos` are as the data contract promises."""
    return _contract(scope, "photos")


@dg.asset_check(asset=dataset.species, blocking=True)
def species_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `species` are as the data contract promises."""
    return _contract(scope, "species")


@dg.asset_check(asset=dataset.species, blocking=True)
def species_have_enough_photographs(scope: Scope) -> dg.AssetCheckResult:
    """No species has fewer usable photographs than `split.min_images`."""
    settings = scope.settings()
    return _verdict(invariants.small_species(settings.paths, minimum=settings.split.min_images))


@dg.asset_check(asset=dataset.rejections, blocking=True)
def rejections_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `rejections` are as the data contract promises."""
    return _contract(scope, "rejections")


@dg.asset_check(asset=dataset.taxonomy, blocking=True)
def taxonomy_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `taxonomy` are as the data contract promises."""
    return _contract(scope, "taxonomy")


@dg.asset_check(asset=dataset.taxonomy, blocking=True)
def taxonomy_is_a_tree(scope: Scope) -> dg.AssetCheckResult:
    """There is one root, every other node has a parent, and nodes are numbered in preorder with nested leaf ranges."""
    return _verdict(invariants.tree(scope.settings().paths))


@dg.asset_check(asset="class_map", blocking=True)
def class_map_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `class_map` are as the data contract promises."""
    return _contract(scope, "class_map")


@dg.asset_check(asset="taxonomy_diff", blocking=True)
def taxonomy_diff_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `taxonomy_diff` are as the data contract promises."""
    return _contract(scope, "taxonomy_diff")


@dg.asset_check(asset=dataset.split, blocking=True)
def split_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `split` are as the data contract promises."""
    return _contract(scope, "split")


@dg.asset_check(asset=dataset.split, blocking=True)
def no_observation_on_both_sides(scope: Scope) -> dg.AssetCheckResult:
    """Photographs of one observation are all on one side (does not apply to the split by photograph)."""
    settings = scope.settings()
    return _verdict(invariants.straddling_observations(settings.paths) if settings.split.unit != "photo" else [])


@dg.asset_check(asset=dataset.split, blocking=True)
def train_share_is_near_target(scope: Scope) -> dg.AssetCheckResult:
    """The training share is as near to 1 - `split.validation` as chance allows (five standard errors)."""
    settings = scope.settings()
    share, broken = invariants.train_share(
        settings.paths, unit=settings.split.unit, validation=settings.split.validation
    )
    return _verdict(broken, train_share=share)


@dg.asset_check(
    asset=dataset.split,
    blocking=True,
    additional_deps=[
        "occurrences", "media", ingest.clean_occurrences, ingest.photo_index, ingest.photos, dataset.species,
        dataset.rejections,
    ],
)  # fmt: skip
def counts_add_up(scope: Scope) -> dg.AssetCheckResult:
    """From occurrences to the split, every row that left the pipeline left a line in `rejections`."""
    return _verdict(balance(scope.settings().paths))


@dg.asset_check(asset=dataset.genus_photos, blocking=True)
def genus_photos_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `genus_photos` are as the data contract promises."""
    return _contract(scope, "genus_photos")


@dg.asset_check(asset=dataset.attribution, blocking=True)
def attribution_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `attribution` are as the data contract promises."""
    return _contract(scope, "attribution")


@dg.asset_check(asset=dataset.training_photos, blocking=True)
def training_photos_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of the pack's index are as the data contract promises."""
    return _verdict(check_table("training_photos", scope.settings().paths.pack_index))


@dg.asset_check(asset=dataset.leakage, blocking=True)
def leakage_contract(scope: Scope) -> dg.AssetCheckResult:
    """Columns, types and values of `leakage` are as the data contract promises."""
    return _contract(scope, "leakage")


@dg.asset_check(asset=dataset.leakage, additional_deps=[dataset.split, dataset.taxonomy], blocking=False)
def no_near_duplicates_across_sides(scope: Scope) -> dg.AssetCheckResult:
    """No validation photograph looks like a training photograph. If some do, the run goes on with a warning."""
    paths = scope.settings().paths
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
            "examples": thumbnail(leaked_pairs(paths), title="Near-identical photographs"),
        },
    )
