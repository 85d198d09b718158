"""Group `training`: each network is trained in a child process through Dagster Pipes."""

import dagster as dg

from ml.spec import TrainResult
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.dataset import training_photos
from pipeline.defs.metadata import mapping_table, picture
from pipeline.defs.resources import OWNERS, Scope, run_tags
from pipeline.files import sha256_of
from pipeline.launch import run_child
from pipeline.specs import train_spec
from pipeline.tracking import run_url


@dg.asset(
    group_name="training",
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    deps=[training_photos],
    pool="gpu",
    code_version="1",
)
def baseline(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The paper's first network: one view of the photograph, ImageNet weights, fine-tuned."""
    settings = scope.settings()
    manifest = DatasetManifest.read(settings.paths)
    spec = train_spec(settings, manifest, network="baseline", tags=run_tags(settings, context))
    file = run_child(
        context=context,
        pipes=pipes,
        module="ml.train",
        spec=spec.write(spec.output / "spec.json"),
        output=spec.output,
        processes=settings.training.processes,
    )
    result = TrainResult.read(file)
    figures = {title: picture(path, title=title) for title, path in result.figures.items()}
    return dg.MaterializeResult(
        metadata={
            "top1": result.metrics["top1"],
            "metrics": mapping_table(
                {name: round(value, 4) for name, value in result.metrics.items()}, columns=("metric", "value")
            ),
            "mlflow_run": dg.MetadataValue.url(run_url(settings, result.mlflow_run_id)),
            "folder": dg.MetadataValue.path(str(spec.output)),
            **figures,
        },
        data_version=dg.DataVersion(sha256_of(result.weights)[:16]),
    )
