"""Group `dataset`: from usable photographs to a taxonomy, a stable split and a pack that training reads."""

import dagster as dg

from pipeline.dataset.attribution import build_attribution
from pipeline.dataset.manifest import build_manifest
from pipeline.dataset.pack import build_training_photos
from pipeline.dataset.pictures import contact_sheet, long_tail, rejections_chart
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.defs.ingest import photos
from pipeline.defs.metadata import mapping_table, picture, table_result
from pipeline.defs.resources import OWNERS, Scope, run_tags
from pipeline.rejections import counts
from pipeline.tracking import dataset_run, run_url


@dg.asset(group_name="dataset", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[photos], code_version="1")
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


@dg.asset(group_name="dataset", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[species], code_version="1")
def taxonomy(scope: Scope) -> dg.MaterializeResult[None]:
    """The tree of the kept species, in preorder, with the range of classes below each node."""
    settings = scope.settings()
    return table_result(build_taxonomy(settings.paths, settings))


@dg.asset(group_name="dataset", kinds={"duckdb", "parquet"}, owners=OWNERS, deps=[taxonomy], code_version="1")
def split(scope: Scope) -> dg.MaterializeResult[None]:
    """Training and validation photographs; an observation never changes sides as the data grow."""
    settings = scope.settings()
    table = build_split(settings.paths, settings)
    build_attribution(settings.paths)
    return table_result(
        table,
        contact_sheet=picture(contact_sheet(settings.paths, seed=settings.split.seed), title="Photographs"),
    )


@dg.asset(group_name="dataset", kinds={"jpeg", "mlflow"}, owners=OWNERS, deps=[split], code_version="1")
def training_photos(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The pack of pre-resized JPEGs, the dataset's manifest, and its parent run in MLflow."""
    settings = scope.settings()
    index = build_training_photos(settings.paths, settings, log=context.log.info)
    manifest = build_manifest(settings.paths, settings)
    pictures = {
        "contact_sheet.png": contact_sheet(settings.paths, seed=settings.split.seed),
        "long_tail.png": long_tail(settings.paths),
        "rejections.png": rejections_chart(settings.paths),
    }
    run_id = dataset_run(settings, manifest, tags=run_tags(settings, context), figures=pictures)
    return table_result(
        index,
        dataset_version=dg.MetadataValue.text(manifest.dataset_version),
        counts=mapping_table(manifest.metrics(), columns=("step", "rows")),
        citation=dg.MetadataValue.text(manifest.citation or "none"),
        mlflow_run=dg.MetadataValue.url(run_url(settings, run_id)),
    )
