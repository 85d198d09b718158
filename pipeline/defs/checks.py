"""Checks: each reads what an asset wrote and states one property. A blocking one that fails stops what follows."""

from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.dataset import invariants
from pipeline.dataset.leakage import leakage
from pipeline.dataset.manifest import accounts, balance
from pipeline.defs.logged import shown_by
from pipeline.defs.metadata import Metadata, percentage, records_table
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR
from pipeline.exam.decision import read_decision
from pipeline.exam.sentences import change, interval, number, title_of
from pipeline.history.drift import KINDS, MOST_DRIFT, last_distances
from pipeline.history.losses import LossRecord, problems
from pipeline.query import count, tally
from pipeline.table_checks import check_table
from pipeline.tables import CONTRACTS

PAIRS = 10
"""How many near-identical photographs are named."""
BROKEN = 20
"""How many of the rows that break a rule are named."""


def _verdict(broken: Sequence[str], measured: Mapping[str, Metadata]) -> dg.AssetCheckResult:
    """Passed when no rule is broken; what was measured comes first, then the rules or rows that are broken."""
    more = [f"and {len(broken) - BROKEN:,} more"] if len(broken) > BROKEN else []
    lines = "\n".join(f"- {line}" for line in [*broken[:BROKEN], *more])
    return dg.AssetCheckResult(
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={**measured, **({"broken": dg.MetadataValue.md(lines)} if broken else {})},
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
        paths, promised = scope.settings().paths, CONTRACTS[table]
        file = paths.pack_index if table == "training_photos" else paths.table(table)
        broken = check_table(table, file)
        measured: dict[str, Metadata] = {
            "rows": count(file),
            "columns": len(promised.schema),
            "promises checked": promised.promises(),
            "promises broken": len(broken),
        }
        return _verdict(broken, measured)

    return contract


contracts = [_contract(table) for table in CONTRACTS]
"""One check for each table."""


@dg.asset_check(op_tags=PROCESSOR, asset="drift", blocking=False)
def drift_is_small(scope: Scope) -> dg.AssetCheckResult:
    """No distance from the snapshot before is larger than 0.1. If one is, the run goes on with a warning."""
    found = last_distances(scope.settings().paths)
    large = [f"{KINDS[kind]}: {distance:.1%}" for kind, distance in found.items() if distance > MOST_DRIFT]
    measured = {f"distance of {KINDS[kind]} (%)": percentage(distance) for kind, distance in found.items()}
    return dg.AssetCheckResult(
        passed=not large,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            **measured,
            "limit (%)": percentage(MOST_DRIFT),
            "large": ", ".join(large) or "none",
            "page": shown_by("dataset_page"),
        },
    )


@dg.asset_check(op_tags=PROCESSOR, asset="losses", blocking=True)
def losses_accepted(scope: Scope) -> dg.AssetCheckResult:
    """No more species and photographs are lost than `refresh.most_lost_*` allow, or a person has let it pass."""
    settings = scope.settings()
    record = LossRecord.read(settings.paths)
    if record is None:
        return _verdict(["losses was not compared yet; materialise the asset losses"], {})
    measured: dict[str, Metadata] = {
        "species of the last dataset": record.species_before,
        "species lost": record.species_lost,
        "photographs of the last dataset": record.photos_before,
        "photographs lost": record.photos_lost,
        "limit for species (%)": percentage(settings.refresh.most_lost_species),
        "limit for photographs (%)": percentage(settings.refresh.most_lost_photos),
        "let pass, because": record.accepted or "nobody had to",
    }
    return _verdict(problems(settings.paths, settings, record), measured)


@dg.asset_check(op_tags=PROCESSOR, asset="species", blocking=True)
def species_have_enough_photographs(scope: Scope) -> dg.AssetCheckResult:
    """No species has fewer usable photographs than `split.min_images`."""
    settings = scope.settings()
    photographs = pq.read_table(settings.paths.table("species"), columns=["photos"])["photos"]
    measured: dict[str, Metadata] = {
        "species": len(photographs),
        "fewest photographs of a species": pc.min(photographs).as_py() or 0,
        "limit (split.min_images)": settings.split.min_images,
    }
    return _verdict(invariants.small_species(settings.paths, minimum=settings.split.min_images), measured)


@dg.asset_check(op_tags=PROCESSOR, asset="taxonomy", blocking=True)
def taxonomy_is_a_tree(scope: Scope) -> dg.AssetCheckResult:
    """There is one root, every other node has a parent, and nodes are numbered in preorder with nested leaf ranges."""
    paths = scope.settings().paths
    nodes = tally(paths.table("taxonomy"), "rank")
    measured: dict[str, Metadata] = {
        "nodes": sum(nodes.values()),
        "roots": nodes.get(("root",), 0),
        "species": nodes.get(("species",), 0),
    }
    return _verdict(invariants.tree(paths), measured)


@dg.asset_check(op_tags=PROCESSOR, asset="split", blocking=True)
def no_observation_on_both_sides(scope: Scope) -> dg.AssetCheckResult:
    """Photographs of one observation are all on one side (does not apply to the split by photograph)."""
    settings = scope.settings()
    straddling = invariants.straddling_observations(settings.paths)
    measured: dict[str, Metadata] = {
        "photographs": count(settings.paths.table("split")),
        "observations on both sides": len(straddling),
        "unit of the split": settings.split.unit,
    }
    return _verdict(straddling if settings.split.unit != "photo" else [], measured)


@dg.asset_check(op_tags=PROCESSOR, asset="split", additional_deps=["clean_occurrences"], blocking=True)
def no_observer_on_both_sides(scope: Scope) -> dg.AssetCheckResult:
    """What one person has recorded is all on one side (applies to the split by observer; else it only counts)."""
    settings = scope.settings()
    straddling = invariants.straddling_observers(settings.paths)
    measured: dict[str, Metadata] = {
        "observers on both sides": len(straddling),
        "unit of the split": settings.split.unit,
    }
    return _verdict(straddling if settings.split.unit == "observer" else [], measured)


@dg.asset_check(op_tags=PROCESSOR, asset="places", additional_deps=["split"], blocking=True)
def no_validation_place_is_learnt(scope: Scope) -> dg.AssetCheckResult:
    """No occurrence of the training side belongs to an observation that has a validation photograph."""
    paths = scope.settings().paths
    sides = tally(paths.table("places"), "side")
    measured: dict[str, Metadata] = {
        "occurrences": sum(sides.values()),
        "of the training side": sides.get(("train",), 0),
    }
    return _verdict(invariants.learnt_places(paths), measured)


@dg.asset_check(op_tags=PROCESSOR, asset="split", additional_deps=["clean_occurrences"], blocking=True)
def train_share_is_near_target(scope: Scope) -> dg.AssetCheckResult:
    """The training share is as near to 1 - `split.validation` as chance allows (five standard errors)."""
    settings = scope.settings()
    share, allowed, broken = invariants.train_share(
        settings.paths, unit=settings.split.unit, validation=settings.split.validation
    )
    measured = {
        "training share (%)": percentage(share),
        "wanted (%)": percentage(1 - settings.split.validation),
        "allowed difference (%)": percentage(allowed),
    }
    return _verdict(broken, measured)


@dg.asset_check(
    op_tags=PROCESSOR,
    asset="split",
    blocking=True,
    additional_deps=["occurrences", "media", "clean_occurrences", "photo_index", "photos", "species", "rejections"],
)
def counts_add_up(scope: Scope) -> dg.AssetCheckResult:
    """From occurrences to the split, every row that left the pipeline left a line in `rejections`."""
    paths = scope.settings().paths
    found = accounts(paths)
    lines = [
        {
            "from": f"{each.before}: {each.rows_before:,}",
            "to": f"{each.after}: {each.rows_after:,}",
            "left out": each.rows_removed,
            "adds up": "yes" if each.is_balanced() else "no",
        }
        for each in found
    ]
    measured: dict[str, Metadata] = {
        "rows": records_table(lines, none=""),
        "left out in all": sum(each.rows_removed for each in found),
    }
    return _verdict(balance(paths), measured)


@dg.asset_check(op_tags=PROCESSOR, asset="exam_answers", blocking=True)
def gate(scope: Scope) -> dg.AssetCheckResult:
    """On the exam the challenger is no worse than the champion, and the best one of the last year, as the gate allows.

    If it is worse, the champion stays, and the run ends with the reason. The section `gate` says what may be lost;
    `naturewatch promote VERSION --force REASON` promotes the version all the same.
    """
    decision = read_decision(scope.settings())
    verdicts = [
        {
            "against": f"version {each.other}",
            "metric": title_of(verdict.metric, verdict.title, target=decision.target),
            "challenger": number(verdict.metric, verdict.challenger),
            "other": number(verdict.metric, verdict.other),
            "change": change(verdict.metric, verdict.change),
            "95 % interval": interval(verdict.metric, verdict.low, verdict.high),
            "photographs": verdict.photos,
            "passed": "yes" if verdict.passed else "no",
        }
        for each in decision.comparisons
        for verdict in each.verdicts
    ]
    measured: dict[str, Metadata] = {
        "challenger": decision.challenger,
        "champion": decision.champion or "none yet",
        "exam": decision.exam,
        "metrics": records_table(verdicts, none="nothing to compare with"),
        "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in (*decision.reasons, *decision.notes))),
    }
    return _verdict(decision.failed, measured)


@dg.asset_check(op_tags=PROCESSOR, asset="leakage", additional_deps=["split", "taxonomy"], blocking=False)
def no_near_duplicates_across_sides(scope: Scope) -> dg.AssetCheckResult:
    """No validation photograph looks like a training photograph. If some do, the run goes on with a warning."""
    paths = scope.settings().paths
    found = leakage(paths)
    pairs = pq.read_table(paths.table("leakage")).sort_by("distance").slice(length=PAIRS).to_pylist()
    names = {"validation photograph": "validation_photo", "training photograph": "train_photo", "bits": "distance"}
    examples = [{title: pair[column] for title, column in names.items()} for pair in pairs]
    return dg.AssetCheckResult(
        passed=not found.leaked,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "validation photographs": found.validation,
            "like a training photograph": found.leaked,
            "share (%)": percentage(found.share),
            "pairs": found.pairs,
            "pairs of one species": found.same_species,
            "most alike": records_table(examples, none="no pair"),
            "pictures": shown_by("dataset_page"),
        },
    )
