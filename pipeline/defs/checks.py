"""Checks: each reads what an asset wrote and states one property. A blocking one that fails stops what follows."""

import dagster as dg

from pipeline.dataset import invariants
from pipeline.dataset.leakage import leakage
from pipeline.dataset.manifest import balance
from pipeline.defs import dataset, ingest
from pipeline.defs.metadata import picture
from pipeline.defs.resources import Scope
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


def _contract(scope: Scope, *names: str) -> dg.AssetCheckResult:
    paths = scope.settings().paths
    return _verdict([f"{name}: {problem}" for name in names for problem in check_table(name, paths.table(name))])


@dg.asset_check(asset=ingest.occurrences, blocking=True)
def occurrences_contract(scope: Scope) -> dg.AssetCheckResult:
    """`occurrences` and `media` keep their contract."""
    return _contract(scope, "occurrences", "media")


@dg.asset_check(asset=ingest.clean_occurrences, blocking=True)
def clean_occurrences_contract(scope: Scope) -> dg.AssetCheckResult:
    """`clean_occurrences` and `rejections` keep their contract."""
    return _contract(scope, "clean_occurrences", "rejections")


@dg.asset_check(asset=ingest.photo_index, blocking=True)
def photo_index_contract(scope: Scope) -> dg.AssetCheckResult:
    """`photo_index` keeps its contract."""
    return _contract(scope, "photo_index")


@dg.asset_check(asset=ingest.changes, blocking=True)
def changes_contract(scope: Scope) -> dg.AssetCheckResult:
    """`changes` keeps its contract."""
    return _contract(scope, "changes")


@dg.asset_check(asset=ingest.photos, blocking=True)
def photos_contract(scope: Scope) -> dg.AssetCheckResult:
    """`photos`, the ledger, keeps its contract."""
    return _contract(scope, "photos")


@dg.asset_check(asset=dataset.species, blocking=True)
def species_contract(scope: Scope) -> dg.AssetCheckResult:
    """`species` keeps its contract."""
    return _contract(scope, "species")


@dg.asset_check(asset=dataset.species, blocking=True)
def species_have_enough_photographs(scope: Scope) -> dg.AssetCheckResult:
    """No species has fewer usable photographs than `split.min_images`."""
    settings = scope.settings()
    return _verdict(invariants.small_species(settings.paths, minimum=settings.split.min_images))


@dg.asset_check(asset=dataset.taxonomy, blocking=True)
def taxonomy_contract(scope: Scope) -> dg.AssetCheckResult:
    """`taxonomy`, `class_map` and `taxonomy_diff` keep their contract."""
    return _contract(scope, "taxonomy", "class_map", "taxonomy_diff")


@dg.asset_check(asset=dataset.taxonomy, blocking=True)
def taxonomy_is_a_tree(scope: Scope) -> dg.AssetCheckResult:
    """One root, every other node below its parent, preorder numbers, nested leaf ranges."""
    return _verdict(invariants.tree(scope.settings().paths))


@dg.asset_check(asset=dataset.split, blocking=True)
def split_contract(scope: Scope) -> dg.AssetCheckResult:
    """`split`, `genus_photos` and `attribution` keep their contract."""
    return _contract(scope, "split", "genus_photos", "attribution")


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


@dg.asset_check(asset=dataset.split, blocking=True)
def counts_add_up(scope: Scope) -> dg.AssetCheckResult:
    """Every row that left the road left a line in `rejections`."""
    return _verdict(balance(scope.settings().paths))


@dg.asset_check(asset=dataset.training_photos, blocking=True)
def training_photos_contract(scope: Scope) -> dg.AssetCheckResult:
    """The index of the pack and `leakage` keep their contract."""
    paths = scope.settings().paths
    tables = {"training_photos": paths.pack_index, "leakage": paths.table("leakage")}
    return _verdict([f"{name}: {problem}" for name, path in tables.items() for problem in check_table(name, path)])


@dg.asset_check(asset=dataset.training_photos, blocking=False)
def no_near_duplicates_across_sides(scope: Scope) -> dg.AssetCheckResult:
    """No validation photograph looks like a training photograph; where some do, the run goes on with a warning."""
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
            "examples": picture(leaked_pairs(paths), title="Near-identical photographs"),
        },
    )
