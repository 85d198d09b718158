"""Group `evaluation`: the specificity threshold of each network, and the networks side by side."""

from collections.abc import Mapping

import dagster as dg

from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.report import build_comparison
from pipeline.comparison.wording import percent
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.logged import REPORT, dataset_pages, pages, pictures, run_link
from pipeline.defs.metadata import records_table, result
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.defs.scope_resource import Scope
from pipeline.defs.stages import calibrate_network
from pipeline.defs.together import PROCESSOR
from pipeline.files import digest_of, sha256_of
from pipeline.pages.dataset_page import show_accuracy
from pipeline.tracking.runs import comparison_run, dataset_run

DATASET = ["taxonomy", "split", "places", "manifest"]
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
    run_id = comparison_run(
        settings,
        dataset,
        version=found.version,
        metrics=found.metrics,
        files=[found.page, *found.tables, *found.pictures.values()],
        tags=run_tags(settings, context),
    )
    # The species table of the dataset page says from now on how often each species is right.
    if (shown := show_accuracy(settings.paths, settings)) is not None:
        pages(settings, dataset_run(settings, dataset, tags={}), dataset_pages(shown))
    return result(
        context,
        settings,
        data_version=digest_of(*(sha256_of(table) for table in found.tables)),
        metadata={
            "in short": found.verdict,
            "networks": _networks(found.metrics),
            **pages(settings, run_id, {"report": (REPORT, found.html)}),
            "MLflow run": run_link(settings, run_id),
            **pictures(settings, run_id, found.pictures),
            "path": dg.MetadataValue.path(str(found.html)),
        },
    )


def _networks(metrics: Mapping[str, float]) -> dg.MetadataValue:
    """A row per network: how often the species is right, and the promise of its threshold."""
    rows = [
        {
            "network": network.title,
            "species right": percent(metrics[f"top1/{name}"]),
            "right at target": percent(metrics[f"specificity_accuracy/{name}"]),
            "mean depth": f"{metrics[f'specificity_depth/{name}']:.2f}",
        }
        for name, network in NETWORKS.items()
    ]
    return records_table(rows, none="")
