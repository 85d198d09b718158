"""Group `dataset`: from usable photographs to a taxonomy, a stable split and a pack that training reads."""

import math
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from ml.spec import RANKS
from pipeline.column_descriptions import PLACE_PROBLEMS
from pipeline.dataset.attribution import (
    build_attribution,
    derived_dataset_path,
    keep_attribution,
    licence_counts,
    licence_statement,
)
from pipeline.dataset.leakage import build_leakage
from pipeline.dataset.leakage import leakage as leakage_found
from pipeline.dataset.manifest import DatasetManifest, build_manifest
from pipeline.dataset.pack import build_training_photos
from pipeline.dataset.places import build_places
from pipeline.dataset.places import places as count_places
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split, split_gaps
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.defs.logged import dataset_pages, pages, pictures, run_link, shown_by
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
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR, SOON
from pipeline.exam.observations import build_exam
from pipeline.files import sha256_of
from pipeline.history.losses import require_passed
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.pages.charts import long_tail, rejections_chart
from pipeline.pages.dataset_page import build_dataset_page
from pipeline.pages.photo_sheets import contact_sheet
from pipeline.provenance.croissant import write_croissant
from pipeline.query import rows, tally
from pipeline.rejections import counts, gather_rejections, removed_by
from pipeline.tracking.runs import dataset_run


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos", "losses"],
    code_version=code_version("photo_verdicts", "species_rejections", "species", "rejection_lines", python=2),
)
def species(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Species with at least `split.min_images` usable photographs: the classes of the networks."""
    settings = scope.settings()
    require_passed(settings.paths)
    table = build_species(settings.paths, settings)
    removed = removed_table(removed_by(settings.paths, "species"), unit="photographs")
    return table_result(context, settings, table, metadata={"left out": removed, "picture": shown_by("manifest")})


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["occurrences", "clean_occurrences", "photo_index", "photos", "species"],
    code_version="1",
)
def rejections(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """One line for every row that left the pipeline: at which asset, its key there, the rule, and the detail.

    Each asset that removes rows writes its lines to a file; this table is the union of these files.
    """
    settings = scope.settings()
    table = gather_rejections(settings.paths)
    lines = [
        {"asset": stage, "rule": rule, "rows": number}
        for stage, rules in counts(settings.paths).items()
        for rule, number in rules.items()
    ]
    removed = records_table(lines, none="no rule removed a row")
    shown = {"left out": removed, "page and picture": shown_by("dataset_page")}
    return table_result(context, settings, table, metadata=shown)


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["species"],
    code_version=code_version("taxonomy", python=2),
)
def taxonomy(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The tree of the kept species: one node per taxon in preorder, seven ranks below the root."""
    settings = scope.settings()
    table = build_taxonomy(settings.paths, settings)
    taxa = tally(table, "rank")
    by_rank = {rank: taxa.get((rank,), 0) for rank in RANKS}
    return table_result(context, settings, table, metadata={"taxa": mapping_table(by_rank, columns=("rank", "taxa"))})


REDRAWN = (
    "the section `split` of the configuration tells the sides apart in a new way: the exam asks only what was on the "
    "validation side under every way so far, and %d of its photographs are withdrawn"
)
HISTORY_VERSION = code_version("species_of_occurrences", "class_map", "taxonomy_diff", "taxonomy_changes", python=2)


@dg.multi_asset(
    op_tags=SOON,
    specs=[
        dg.AssetSpec(
            "class_map",
            deps=["clean_occurrences", "taxonomy"],
            kinds=TABLE,
            code_version=HISTORY_VERSION,
            description="What became of each class of the last taxonomy: same, renamed, split, merged, new or gone.",
        ),
        dg.AssetSpec(
            "taxonomy_diff",
            deps=["clean_occurrences", "taxonomy"],
            kinds=TABLE,
            code_version=HISTORY_VERSION,
            description="Taxa of every rank that are new, gone, moved, renamed, split or merged.",
        ),
    ],
    can_subset=True,
)
def taxonomy_history(context: dg.AssetExecutionContext, scope: Scope) -> Iterator[dg.MaterializeResult[None]]:
    """Compare the tree with the last other one, and keep it for the next comparison."""
    settings = scope.settings()
    build_taxonomy_history(settings.paths, settings)
    tables = {name: settings.paths.table(name) for name in ("class_map", "taxonomy_diff")}
    found = rows("taxonomy_changes", inputs={"taxonomy_diff": tables["taxonomy_diff"]})
    changes = records_table(found, none="nothing has changed since the last taxonomy")
    classes = {str(change): number for (change,), number in tally(tables["class_map"], "change").items()}
    metadata = {
        "class_map": {"classes": mapping_table(classes, columns=("change", "classes"))},
        "taxonomy_diff": {"changes": changes},
    }
    yield from table_results(context, settings, tables, metadata=metadata)


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos", "species", "taxonomy"],
    code_version=code_version("split", "split_gaps", python=2),
)
def split(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Training and validation photographs. An observation never changes sides as the data grow."""
    settings = scope.settings()
    table = build_split(settings.paths, settings)
    sides = tally(table, "split")
    train, validation = (sides.get((side,), 0) for side in ("train", "validation"))
    gaps = split_gaps(settings.paths, settings)[settings.split.unit]
    return table_result(
        context,
        settings,
        table,
        metadata={
            "training photographs": train,
            "validation photographs": validation,
            "training share (%)": percentage(train / (train + validation) if train + validation else math.nan),
            "species without validation photographs": _named(gaps.without_validation),
            "species without training photographs": _named(gaps.without_training),
            "picture": shown_by("manifest"),
        },
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "split"],
    code_version=code_version("places", "place_counts", python=1),
)
def places(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Where and when the organisms were found, as far as it can be relied on. No record is left out for its place."""
    settings = scope.settings()
    table = build_places(settings.paths)
    found = count_places(settings.paths)
    facts: dict[str, Metadata] = {
        "occurrences": found.occurrences,
        "with a place that counts": found.placed,
        "of them obscured": found.obscured,
        "of them with a day": found.dated,
        "of them on the training side": found.learnt,
        "observers": found.observers,
        "places that do not count": removed_table(found.problems, unit="occurrences", meanings=PLACE_PROBLEMS),
    }
    return table_result(context, settings, table, metadata=facts)


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos", "species", "taxonomy"],
    code_version=code_version("genus_photos", python=2),
)
def genus_photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Photographs of species too rare to be classes, by genus: the genus stage learns from them too."""
    settings = scope.settings()
    return table_result(context, settings, build_genus_photos(settings.paths, settings))


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos", "taxonomy", "split", "genus_photos"],
    code_version=code_version("attribution", "derived_dataset", python=1),
)
def attribution(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Licence, holder and creator of every photograph that training uses, and the counts that GBIF asks for."""
    settings = scope.settings()
    table = build_attribution(settings.paths)
    licences = licence_counts(table)
    return table_result(
        context,
        settings,
        table,
        metadata={
            "licences": mapping_table(licences, columns=("licence", "photographs")),
            "what they mean for a model": dg.MetadataValue.text(licence_statement(licences)),
            "for GBIF's derived datasets": dg.MetadataValue.path(str(derived_dataset_path(settings.paths))),
        },
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"jpeg"},
    deps=["photo_index", "photos", "split", "genus_photos"],
    code_version=code_version("pack_missing", "pack_withdrawn", python=2),
)
def training_photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The pack of pre-resized JPEGs that training reads, and its index."""
    settings = scope.settings()
    return table_result(context, settings, build_training_photos(settings.paths, settings, log=context.log.info))


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["split", "training_photos"],
    code_version=code_version("leakage", "leakage_counts", python=1),
)
def leakage(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Pairs of near-identical photographs with one on each side of the split."""
    settings = scope.settings()
    table = build_leakage(settings.paths)
    found = leakage_found(settings.paths)
    return table_result(
        context,
        settings,
        table,
        metadata={
            "validation photographs like a training photograph": found.leaked,
            "share of the validation side (%)": percentage(found.share),
        },
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "split", "taxonomy", "class_map", "rejections"],
    code_version=code_version("exam", "exam_renames", "exam_splits", python=1),
)
def exam(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Validation photographs on which all model versions are judged: frozen, and growing only by addition.

    It goes on from what it was. What leaves the dataset is withdrawn and keeps its row; what is identified anew is
    asked by its present name.
    """
    settings = scope.settings()
    built = build_exam(settings.paths, settings)
    if built.redrawn:
        context.log.warning(REDRAWN, built.withdrawn.get("training", 0))
    return table_result(
        context,
        settings,
        built.table,
        metadata={
            "version": built.version,
            "photographs": built.photos,
            "observations": built.observations,
            "species": built.species,
            "added": built.added,
            "withdrawn": removed_table(built.withdrawn, unit="photographs"),
        },
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"json", "mlflow"},
    deps=[
        "gbif_download", "occurrences", "media", "clean_occurrences", "photo_index", "changes", "photos", "species",
        "rejections", "taxonomy", "split", "genus_photos", "attribution", "leakage",
    ],
    code_version=code_version(
        "clean_media", "split_gaps", "leakage_counts", "contact_sheet", "long_tail", "spread", python=2
    ),
)  # fmt: skip
def manifest(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """`dataset.json`: the dataset version with its hashes, counts and citation, and its parent run in MLflow.

    What the version owes to others is kept for good below `datasets/`: manifest, tables, attribution, counts per
    source, and its description in MLCommons' Croissant format (`croissant.json`).
    """
    settings = scope.settings()
    mlflow_answers(settings)
    paths = settings.paths
    found = build_manifest(paths, settings)
    kept = keep_attribution(paths, version=found.dataset_version)
    described = write_croissant(paths, settings, found)
    run_id = dataset_run(settings, found, tags=run_tags(settings, context))
    drawn = {
        "Photographs of the dataset": contact_sheet(paths, settings, seed=settings.split.seed),
        "Photographs per species": long_tail(paths),
        "What each rule removed": rejections_chart(paths),
    }
    return result(
        context,
        settings,
        # Another download of the same records has another DOI: what learns from the dataset need not begin again.
        data_version=found.dataset_version,
        metadata={
            "dataset version": found.dataset_version,
            "species": found.counts["species"],
            "training photographs": found.counts["train"],
            "validation photographs": found.counts["validation"],
            "source": found.source,
            "DOI": doi(settings, found.doi),
            "MLflow run": run_link(settings, run_id),
            "rows at each step": mapping_table(found.counts, columns=("step", "rows")),
            **pictures(settings, run_id, drawn),
            "attribution": dg.MetadataValue.path(str(kept)),
            "Croissant description": dg.MetadataValue.path(str(described)),
            "path": dg.MetadataValue.path(str(paths.dataset_manifest)),
        },
    )


class PageConfig(dg.Config):
    """What the dataset page shows."""

    taxa: list[str] = Field(
        default=[],
        description="Names or taxon keys, as Aves or 212, to show photographs of. "
        "Empty: the families with the most photographs.",
    )


@dg.asset(
    op_tags=SOON,
    kinds={"html", "mlflow"},
    deps=[
        "gbif_download", "occurrences", "media", "clean_occurrences", "changes", "drift", "photos", "species",
        "rejections", "taxonomy", "taxonomy_diff", "split", "attribution", "leakage", "manifest",
    ],
    code_version=code_version(
        "species_per_class", "long_tail", "observation_places", "leakage_examples", "chosen_taxa",
        "taxon_sheet", "taxonomy_changes", "dataset_summary", "species_kingdoms", "species_list", "same_photographs",
        "rejection_examples", "rejection_records", "changes_species", "changes_replaced", "changed_photographs",
        "corrected_photographs", "changed_species", "drift_distances", "drift_moves", python=2,
    ),
)  # fmt: skip
def dataset_page(context: dg.AssetExecutionContext, scope: Scope, config: PageConfig) -> dg.MaterializeResult[None]:
    """A page for people: classes, long tail, map, licences, what each rule removed, photographs of chosen taxa."""
    settings = scope.settings()
    mlflow_answers(settings)
    page = build_dataset_page(settings.paths, settings, taxa=config.taxa)
    run_id = dataset_run(settings, DatasetManifest.read(settings.paths), tags={})
    return result(
        context,
        settings,
        data_version=sha256_of(page.html),
        metadata={
            **pages(settings, run_id, dataset_pages(page)),
            "MLflow run": run_link(settings, run_id),
            **pictures(settings, run_id, page.pictures),
            "path": dg.MetadataValue.path(str(page.html)),
        },
    )


def _named(species: tuple[str, ...], *, most: int = 20) -> str:
    """How many species, and the first of them by name."""
    rest = f", and {len(species) - most:,} more" if len(species) > most else ""
    return f"{len(species):,}" + (f": {', '.join(species[:most])}{rest}" if species else "")
