"""Group `release`, after its end: the report of the newest version and its dataset. Nothing waits for it."""

import dagster as dg

from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.evaluation import COMPARED
from pipeline.defs.logged import page
from pipeline.defs.metadata import Metadata, code_version, result
from pipeline.defs.mlflow_runs import mlflow_answers
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR
from pipeline.defs.version_links import numbers_and_links
from pipeline.production.record import Production
from pipeline.registry.report_page import build_report
from pipeline.registry.reported_version import REPORT_PLACE, record_report, reported_version


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"html", "mlflow"},
    deps=[
        "gbif_download", "clean_occurrences", "photos", "taxonomy", "split", "attribution", "manifest", *COMPARED,
        "comparison", "suspects", "production", "specificity_production", "candidate", "exam_answers", "champion",
    ],
    code_version=code_version(
        "taxon_accuracy", "confused_photographs", "species_list", "group_accuracy", "observation_places",
        "suspect_counts", "shown_suspects", python=1,
    ),
)  # fmt: skip
def report(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """One page on the newest version: what it knows, promises and confuses, what it learnt from, how to use it.

    It opens from disk, and is kept with the version in MLflow. Users get the model whether it can be written or not.
    """
    settings = scope.settings()
    mlflow_answers(settings)
    production = Production.read(settings.paths)
    version = reported_version(settings, production)
    written = build_report(settings, DatasetManifest.read(settings.paths), production=production, version=version)
    record_report(settings, version, written.html)
    shown: dict[str, Metadata] = {}
    if version.run_id is not None:
        shown["report"] = page(settings, version.run_id, REPORT_PLACE)
    return result(
        context,
        settings,
        data_version=written.version,
        metadata={
            **shown,
            "version": f"{settings.registry.model_name} {version.number}",
            **numbers_and_links(settings, version.number),
            "taxa": dg.MetadataValue.path(str(written.table)),
            "path": dg.MetadataValue.path(str(written.html)),
        },
    )
