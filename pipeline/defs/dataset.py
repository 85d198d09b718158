"""Group `dataset`: from usable photographs to a taxonomy, a stable split and a pack that training reads."""

import dagster as dg
from pydantic import Field

from pipeline.dataset.attribution import build_attribution, keep_attribution
from pipeline.dataset.leakage import build_leakage
from pipeline.dataset.manifest import build_manifest
from pipeline.dataset.pack import build_training_photos
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split, split_gaps
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.defs.ingest import photos
from pipeline.defs.metadata import mapping_table, picture, table_result
from pipeline.defs.resources import OWNERS, Scope, run_tags
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.pages.charts import long_tail, rejections_chart
from pipeline.pages.dataset_page import build_dataset_page
from pipeline.pages.photo_sheets import contact_sheet
from pipeline.query import count, rows
from pipeline.rejections import counts
from pipeline.tracking.runs import dataset_run, run_url


@dg.asset(group_name="dataset", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[photos], code_version="2")
def species(scope: Scope) -> dg.MaterializeResult[None]:
    """Species with at least `split.min_images` usable photographs."""
    settings = scope.settings()
    table = build_species(settings.paths, settings)
    removed = counts(settings.paths).get("species", {})
    return table_result(
        table,
        long_tail=picture(long_tail(settings.paths), title="Photographs per species"),
        removed=mapping_table(removed, columns=("rule", "photographs removed")),
    )


@dg.asset(group_name="dataset", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[species], code_version="2")
def taxonomy(scope: Scope) -> dg.MaterializeResult[None]:
    """The tree of the kept species, in preorder, with the class map and the diff from the last tree."""
    settings = scope.settings()
    table = build_taxonomy(settings.paths, settings)
    diff = build_taxonomy_history(settings.paths, settings)
    changes = {
        f"{row['rank']} {row['change']}": row["taxa"]
        for row in rows("taxonomy_changes", inputs={"taxonomy_diff": diff})
    }
    return table_result(
        table,
        changes=mapping_table(changes, columns=("since the last taxonomy", "taxa")),
        class_map=dg.MetadataValue.path(str(settings.paths.table("class_map"))),
        taxonomy_diff=dg.MetadataValue.path(str(diff)),
    )


@dg.asset(group_name="dataset", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[taxonomy], code_version="2")
def split(scope: Scope) -> dg.MaterializeResult[None]:
    """Training and validation photographs; an observation never changes sides as the data grow."""
    settings = scope.settings()
    table = build_split(settings.paths, settings)
    genus_photos = build_genus_photos(settings.paths, settings)
    build_attribution(settings.paths)
    gaps = split_gaps(settings.paths, settings)
    return table_result(
        table,
        genus_photos=dg.MetadataValue.int(count(genus_photos)),
        species_without_validation=mapping_table(
            {unit: _named(found.without_validation) for unit, found in gaps.items()}, columns=("unit", "species")
        ),
        species_without_training=mapping_table(
            {unit: _named(found.without_training) for unit, found in gaps.items()}, columns=("unit", "species")
        ),
        contact_sheet=picture(contact_sheet(settings.paths, seed=settings.split.seed), title="Photographs"),
    )


@dg.asset(group_name="dataset", kinds={"jpeg", "mlflow"}, owners=OWNERS, deps=[split], code_version="2")
def training_photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The pack of pre-resized JPEGs, the dataset's manifest, and its parent run in MLflow."""
    settings = scope.settings()
    index = build_training_photos(settings.paths, settings, log=context.log.info)
    build_leakage(settings.paths)
    manifest = build_manifest(settings.paths, settings)
    kept = keep_attribution(settings.paths, version=manifest.dataset_version)
    pictures = [
        contact_sheet(settings.paths, seed=settings.split.seed),
        long_tail(settings.paths),
        rejections_chart(settings.paths),
    ]
    run_id = dataset_run(settings, manifest, tags=run_tags(settings, context), figures=pictures)
    return table_result(
        index,
        dataset_version=dg.MetadataValue.text(manifest.dataset_version),
        counts=mapping_table(manifest.metrics(), columns=("step", "rows")),
        attribution=dg.MetadataValue.path(str(kept)),
        source=dg.MetadataValue.text(manifest.source),
        mlflow_run=dg.MetadataValue.url(run_url(settings, run_id)),
    )


class PageConfig(dg.Config):
    """What the dataset page shows."""

    taxa: list[str] = Field(
        default=[], description="Names or taxon keys to show photographs of; empty: the families with the most."
    )


@dg.asset(
    group_name="dataset",
    kinds={"html"},
    owners=OWNERS,
    deps=[split, training_photos],
    code_version="1",
)
def dataset_page(scope: Scope, config: PageConfig) -> dg.MaterializeResult[None]:
    """A page for people: classes, long tail, map, licences, what each rule removed, photographs of chosen taxa."""
    settings = scope.settings()
    page = build_dataset_page(settings.paths, settings, taxa=config.taxa)
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.path(str(page.html)),
            **{title: picture(png, title=title) for title, png in page.pictures.items()},
        }
    )


def _named(species: tuple[str, ...], *, most: int = 20) -> str:
    """How many species, and the first of them by name."""
    rest = f", and {len(species) - most:,} more" if len(species) > most else ""
    return f"{len(species):,}" + (f": {', '.join(species[:most])}{rest}" if species else "")
