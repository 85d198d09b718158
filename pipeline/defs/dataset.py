"""Group `dataset`: from usable photographs to a taxonomy, a stable split and a pack that training reads."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from pipeline.dataset.attribution import build_attribution, derived_dataset_path, keep_attribution
from pipeline.dataset.leakage import build_leakage
from pipeline.dataset.leakage import leakage as leakage_found
from pipeline.dataset.manifest import build_manifest
from pipeline.dataset.pack import build_training_photos
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split, split_gaps
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.defs.metadata import (
    TABLE,
    code_version,
    mapping_table,
    records_table,
    result,
    table_result,
    table_results,
    thumbnail,
)
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR
from pipeline.files import sha256_of
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.pages.charts import long_tail, rejections_chart
from pipeline.pages.dataset_page import build_dataset_page
from pipeline.pages.photo_sheets import contact_sheet
from pipeline.query import rows
from pipeline.rejections import counts, gather_rejections, removed_by
from pipeline.tracking.links import run_url
from pipeline.tracking.runs import dataset_run


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos"],
    code_version=code_version(
        "photo_verdicts", "species_rejections", "species", "rejection_lines", "long_tail", python=2
    ),
)
def species(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Species with at least `split.min_images` usable photographs: the classes of the networks."""
    settings = scope.settings()
    table = build_species(settings.paths, settings)
    removed = removed_by(settings.paths, "species")
    return table_result(
        context,
        table,
        long_tail=thumbnail(long_tail(settings.paths), title="Photographs per species"),
        removed=mapping_table(removed, columns=("rule", "photographs removed")),
    )


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
    paths = scope.settings().paths
    table = gather_rejections(paths)
    lines = [
        {"asset": stage, "rule": rule, "rows": number}
        for stage, rules in counts(paths).items()
        for rule, number in rules.items()
    ]
    return table_result(
        context,
        table,
        chart=thumbnail(rejections_chart(paths), title="What each rule removed"),
        removed=records_table(lines, none="no rule removed a row"),
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["species"],
    code_version=code_version("taxonomy", python=2),
)
def taxonomy(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The tree of the kept species: one node per taxon in preorder, seven ranks below the root."""
    settings = scope.settings()
    return table_result(context, build_taxonomy(settings.paths, settings))


HISTORY_VERSION = code_version("species_of_occurrences", "class_map", "taxonomy_diff", "taxonomy_changes", python=2)


@dg.multi_asset(
    op_tags=PROCESSOR,
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
    yield from table_results(context, tables, taxonomy_diff={"changes": changes})


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos", "species", "taxonomy"],
    code_version=code_version("split", "split_gaps", "contact_sheet", python=2),
)
def split(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Training and validation photographs. An observation never changes sides as the data grow."""
    settings = scope.settings()
    table = build_split(settings.paths, settings)
    gaps = split_gaps(settings.paths, settings)
    return table_result(
        context,
        table,
        contact_sheet=thumbnail(contact_sheet(settings.paths, seed=settings.split.seed), title="Photographs"),
        species_without_validation=mapping_table(
            {unit: _named(found.without_validation) for unit, found in gaps.items()}, columns=("unit", "species")
        ),
        species_without_training=mapping_table(
            {unit: _named(found.without_training) for unit, found in gaps.items()}, columns=("unit", "species")
        ),
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos", "species", "taxonomy"],
    code_version=code_version("genus_photos", python=2),
)
def genus_photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Photographs of species too rare to be classes, by genus: the genus stage learns from them too."""
    settings = scope.settings()
    return table_result(context, build_genus_photos(settings.paths, settings))


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["clean_occurrences", "photos", "taxonomy", "split", "genus_photos"],
    code_version=code_version("attribution", "derived_dataset", python=1),
)
def attribution(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Licence, holder and creator of every photograph that training uses, and the counts that GBIF asks for."""
    paths = scope.settings().paths
    table = build_attribution(paths)
    return table_result(context, table, derived_dataset=dg.MetadataValue.path(str(derived_dataset_path(paths))))


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"jpeg"},
    deps=["photos", "split", "genus_photos"],
    code_version=code_version("pack_missing", python=2),
)
def training_photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The pack of pre-resized JPEGs that training reads, and its index."""
    settings = scope.settings()
    return table_result(context, build_training_photos(settings.paths, settings, log=context.log.info))


@dg.asset(
    op_tags=PROCESSOR,
    kinds=TABLE,
    deps=["split", "training_photos"],
    code_version=code_version("leakage", "leakage_counts", python=1),
)
def leakage(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """Pairs of near-identical photographs with one on each side of the split."""
    paths = scope.settings().paths
    table = build_leakage(paths)
    found = leakage_found(paths)
    return table_result(context, table, share_of_validation=dg.MetadataValue.float(found.share))


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"json", "mlflow"},
    deps=[
        "gbif_download", "occurrences", "media", "clean_occurrences", "photo_index", "photos", "species", "rejections",
        "taxonomy", "split", "genus_photos", "attribution", "leakage",
    ],
    code_version=code_version("clean_media", "split_gaps", "leakage_counts", "contact_sheet", "long_tail", python=1),
)  # fmt: skip
def manifest(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """`dataset.json`: the dataset version with its hashes, counts and citation, and its parent run in MLflow.

    What the version owes to others is kept for good below `datasets/`: manifest, attribution, counts per source.
    """
    settings = scope.settings()
    mlflow_answers(settings)
    paths = settings.paths
    found = build_manifest(paths, settings)
    kept = keep_attribution(paths, version=found.dataset_version)
    pictures = [contact_sheet(paths, seed=settings.split.seed), long_tail(paths), rejections_chart(paths)]
    run_id = dataset_run(settings, found, tags=run_tags(settings, context), figures=pictures)
    return result(
        context,
        data_version=sha256_of(paths.dataset_manifest),
        metadata={
            "dataset_version": found.dataset_version,
            "counts": mapping_table(found.counts, columns=("step", "rows")),
            "source": found.source,
            "path": dg.MetadataValue.path(str(paths.dataset_manifest)),
            "attribution": dg.MetadataValue.path(str(kept)),
            "mlflow_run": dg.MetadataValue.url(run_url(settings, run_id)),
        },
    )


SHOWN = ("Species per class", "Where the observations were made", "Photographs per licence")
"""Pictures of the dataset page that no other asset shows."""


class PageConfig(dg.Config):
    """What the dataset page shows."""

    taxa: list[str] = Field(
        default=[],
        description="Names or taxon keys, as Aves or 212, to show photographs of. "
        "Empty: the families with the most photographs.",
    )


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"html"},
    deps=[
        "clean_occurrences", "photos", "species", "rejections", "taxonomy", "taxonomy_diff", "split", "attribution",
        "leakage", "manifest",
    ],
    code_version=code_version(
        "species_per_class", "long_tail", "observation_places", "licence_counts", "leakage_examples", "chosen_taxa",
        "taxon_sheet", "taxonomy_changes", python=1,
    ),
)  # fmt: skip
def dataset_page(context: dg.AssetExecutionContext, scope: Scope, config: PageConfig) -> dg.MaterializeResult[None]:
    """A page for people: classes, long tail, map, licences, what each rule removed, photographs of chosen taxa."""
    settings = scope.settings()
    page = build_dataset_page(settings.paths, settings, taxa=config.taxa)
    return result(
        context,
        data_version=sha256_of(page.html),
        metadata={
            "page": dg.MetadataValue.path(str(page.html)),
            **{title: thumbnail(page.pictures[title], title=title) for title in SHOWN},
        },
    )


def _named(species: tuple[str, ...], *, most: int = 20) -> str:
    """How many species, and the first of them by name."""
    rest = f", and {len(species) - most:,} more" if len(species) > most else ""
    return f"{len(species):,}" + (f": {', '.join(species[:most])}{rest}" if species else "")
