"""Blocking checks: each reads what an asset wrote and states one property. A failed check stops what follows."""

import dagster as dg

from pipeline.dataset import invariants
from pipeline.dataset.manifest import balance
from pipeline.defs import dataset, ingest
from pipeline.defs.resources import Scope
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
    """`taxonomy` keeps its contract."""
    return _contract(scope, "taxonomy")


@dg.asset_check(asset=dataset.taxonomy, blocking=True)
def taxonomy_is_a_tree(scope: Scope) -> dg.AssetCheckResult:
    """One root, every other node below its parent, preorder numbers, nested leaf ranges."""
    return _verdict(invariants.tree(scope.settings().paths))


@dg.asset_check(asset=dataset.split, blocking=True)
def split_contract(scope: Scope) -> dg.AssetCheckResult:
    """`split` and `attribution` keep their contract."""
    return _contract(scope, "split", "attribution")


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
