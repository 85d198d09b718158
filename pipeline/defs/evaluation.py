"""Group `evaluation`: the specificity threshold of each network, and the networks side by side."""

import dagster as dg

from ml.spec import CalibrateResult
from pipeline.comparison import build_comparison
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.metadata import mapping_table, picture
from pipeline.defs.resources import OWNERS, Scope, run_tags
from pipeline.defs.training import baseline
from pipeline.files import digest_of, sha256_of
from pipeline.launch import run_child
from pipeline.specs import calibrate_spec
from pipeline.tracking import run_url

NUMBERS = {
    "target", "threshold", "temperature", "calibration_accuracy", "calibration_depth", "calibration_photos",
    "evaluation_accuracy", "evaluation_accuracy_low", "evaluation_accuracy_high", "evaluation_depth",
    "evaluation_photos", "abstention_rate", "calibration_error",
}  # fmt: skip
"""What the table `numbers` shows of a calibration."""


@dg.asset(group_name="evaluation", kinds={"numpy", "mlflow"}, owners=OWNERS, deps=[baseline], code_version="2")
def specificity_baseline(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold that meets the target accuracy: chosen on one half of validation, reported on the other."""
    settings = scope.settings()
    manifest = DatasetManifest.read(settings.paths)
    spec = calibrate_spec(settings, manifest, network="baseline", tags=run_tags(settings, context))
    file = run_child(
        context=context,
        pipes=pipes,
        module="ml.calibrate",
        spec=spec.write(spec.output / "spec.json"),
        output=spec.output,
    )
    result = CalibrateResult.read(file)
    report = result.report.read_text(encoding="utf-8")
    numbers = result.model_dump(include=NUMBERS, mode="json")
    figures = {title: picture(path, title=title) for title, path in result.figures.items()}
    return dg.MaterializeResult(
        metadata={
            "threshold": result.threshold,
            "evaluation_accuracy": result.evaluation_accuracy,
            "evaluation_depth": result.evaluation_depth,
            "numbers": mapping_table(
                {name: round(value, 4) for name, value in numbers.items()}, columns=("quantity", "value")
            ),
            "abstention_rate": result.abstention_rate,
            "operating_points": dg.MetadataValue.md(report),
            "mlflow_run": dg.MetadataValue.url(run_url(settings, result.mlflow_run_id)),
            **figures,
        },
        data_version=dg.DataVersion(digest_of(numbers, report)),
    )


@dg.asset(group_name="evaluation", kinds={"markdown"}, owners=OWNERS, deps=[specificity_baseline], code_version="1")
def comparison(scope: Scope) -> dg.MaterializeResult[None]:
    """The paper's Table 1 for this dataset, the paper's own numbers beside it."""
    settings = scope.settings()
    report = build_comparison(settings, DatasetManifest.read(settings.paths))
    return dg.MaterializeResult(
        metadata={
            "table": dg.MetadataValue.md(report.read_text(encoding="utf-8")),
            "path": dg.MetadataValue.path(str(report)),
        },
        data_version=dg.DataVersion(sha256_of(report)[:16]),
    )
