"""Group `evaluation`: the specificity threshold of each network, and the networks side by side."""

import dagster as dg

from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.report import build_comparison
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.metadata import result, thumbnail
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.defs.scope_resource import Scope
from pipeline.defs.stages import calibrate_network
from pipeline.defs.together import PROCESSOR
from pipeline.files import digest_of, sha256_of
from pipeline.tracking.links import run_url
from pipeline.tracking.runs import comparison_run

DATASET = ["taxonomy", "split", "manifest"]
"""What every calibration reads of the dataset."""
COMPARED = [*NETWORKS, *(f"specificity_{name}" for name in NETWORKS)]
"""The networks that identify species, and their calibrations."""


@dg.asset(op_tags=PROCESSOR, kinds={"numpy", "mlflow"}, deps=[*DATASET, "baseline"], code_version="3")
def specificity_baseline(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """How sure `baseline` must be to answer with a species instead of a higher rank and still meet the target accuracy.

    The threshold is chosen on one half of the validation photographs; its accuracy is measured on the other half.
    """
    return calibrate_network(scope.settings(), network="baseline", context=context, pipes=pipes)


@dg.asset(op_tags=PROCESSOR, kinds={"numpy", "mlflow"}, deps=[*DATASET, "baseline_matched"], code_version="1")
def specificity_baseline_matched(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold of `baseline_matched` that meets the target accuracy, measured on photographs not used for it."""
    return calibrate_network(scope.settings(), network="baseline_matched", context=context, pipes=pipes)


@dg.asset(op_tags=PROCESSOR, kinds={"numpy", "mlflow"}, deps=[*DATASET, "multi_view"], code_version="1")
def specificity_multi_view(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold of `multi_view` that meets the target accuracy, measured on photographs not used for it."""
    return calibrate_network(scope.settings(), network="multi_view", context=context, pipes=pipes)


@dg.asset(op_tags=PROCESSOR, kinds={"numpy", "mlflow"}, deps=[*DATASET, "knowledge_transfer"], code_version="1")
def specificity_knowledge_transfer(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold of `knowledge_transfer` that meets the target accuracy, measured on photographs not used for it."""
    return calibrate_network(scope.settings(), network="knowledge_transfer", context=context, pipes=pipes)


@dg.asset(op_tags=PROCESSOR, kinds={"markdown", "mlflow"}, deps=["split", "manifest", *COMPARED], code_version="2")
def comparison(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The networks side by side: the paper's Table 1 and Figures 3 and 4 for this dataset, beside its own numbers."""
    settings = scope.settings()
    mlflow_answers(settings)
    dataset = DatasetManifest.read(settings.paths)
    found = build_comparison(settings, dataset)
    page = found.page.read_text(encoding="utf-8")
    run_id = comparison_run(
        settings,
        dataset,
        version=found.version,
        metrics=found.metrics,
        files=[found.page, *found.tables, *found.pictures.values()],
        tags=run_tags(settings, context),
    )
    return result(
        context,
        data_version=digest_of(*(sha256_of(table) for table in found.tables)),
        metadata={
            "table": dg.MetadataValue.md(page.partition("\n\n![")[0]),
            "path": dg.MetadataValue.path(str(found.page)),
            "mlflow_run": dg.MetadataValue.url(run_url(settings, run_id)),
            **{title: thumbnail(path, title=title) for title, path in found.pictures.items()},
        },
    )
