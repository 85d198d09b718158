"""Group `evaluation`: photographs that seem to have the wrong name."""

import dagster as dg

from ml.spec import RESULT_FILE
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.logged import pages, run_link
from pipeline.defs.metadata import Metadata, code_version, percentage, records_table, table_result
from pipeline.defs.mlflow_runs import mlflow_answers
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import TRAININGS
from pipeline.label_quality.judging import is_judged, label_quality_result, label_quality_spec
from pipeline.label_quality.suspects import build_suspects, counted, first_suspects, write_suspects_csv
from pipeline.label_quality.suspects_page import build_suspects_page
from pipeline.launching.gpus import decoding_workers, reserved
from pipeline.launching.launch import run_child
from pipeline.tracking.runs import dataset_run, log_files

SHOWN = 20
"""Suspects that the UI lists."""
PAGE = "suspects.html"
"""Place of the page among the artifacts of the run of its dataset version."""


@dg.asset(
    kinds={"parquet", "pytorch", "mlflow"},
    deps=["gbif_download", "photos", "taxonomy", "split", "training_photos", "manifest"],
    pool=TRAININGS,
    code_version=code_version(
        "contradicting_copies", "suspects", "suspects_csv", "suspect_counts", "shown_suspects", python=1
    ),
)
def suspects(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """Photographs whose names fit them least, by classifiers that never saw them; a page and a file to correct them.

    Photographs that were judged with the same settings are not judged again. Nothing waits for it.
    """
    settings = scope.settings()
    mlflow_answers(settings)
    paths, manifest = settings.paths, DatasetManifest.read(settings.paths)
    spec = label_quality_spec(settings, manifest, workers=decoding_workers(processes=1))
    if not is_judged(spec):
        file = spec.write(spec.output / "spec.json")
        with reserved(processes=1, what=f"{settings.name}: suspects", say=context.log.info) as devices:
            run_child(
                context=context, pipes=pipes, stage="label_quality", spec=file, output=spec.output, variables=devices
            )
    judged = label_quality_result(spec.output / RESULT_FILE)
    table = build_suspects(paths, judged.scores)
    return table_result(context, settings, table, metadata=_shown(settings, manifest, accuracy=judged.accuracy))


def _shown(settings: Settings, manifest: DatasetManifest, *, accuracy: float) -> dict[str, Metadata]:
    paths = settings.paths
    numbers = counted(paths)
    page, listed = build_suspects_page(paths, settings), write_suspects_csv(paths)
    run_id = dataset_run(settings, manifest, tags={})
    log_files(settings, run_id, {listed.name: listed})
    return {
        "may have the wrong name": numbers["issues"],
        "near-identical under another name": numbers["copies"],
        "judged photographs": numbers["judged"],
        "look most like their own species (%)": percentage(accuracy),
        **pages(settings, run_id, {"suspects": (PAGE, page)}),
        "MLflow run": run_link(settings, run_id),
        "the first": records_table(first_suspects(paths, most=SHOWN), none="no photograph was judged"),
        "to correct (labels.corrections)": dg.MetadataValue.path(str(listed)),
    }
