"""Group `evaluation`: the specificity threshold of each network, and the networks side by side."""

import dagster as dg

from pipeline.comparison.report import build_comparison
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.metadata import picture
from pipeline.defs.resources import OWNERS, Scope, run_tags
from pipeline.defs.stages import calibrate_network
from pipeline.defs.training import baseline, baseline_matched, knowledge_transfer, multi_view
from pipeline.files import digest_of, sha256_of
from pipeline.tracking.runs import comparison_run, run_url


@dg.asset(group_name="evaluation", kinds={"numpy", "mlflow"}, owners=OWNERS, deps=[baseline], code_version="3")
def specificity_baseline(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold that meets the target accuracy: chosen on one half of validation, reported on the other."""
    return calibrate_network(scope.settings(), network="baseline", context=context, pipes=pipes)


@dg.asset(group_name="evaluation", kinds={"numpy", "mlflow"}, owners=OWNERS, deps=[baseline_matched], code_version="1")
def specificity_baseline_matched(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold of one view under the second schedule: chosen on one half of validation, reported on the other."""
    return calibrate_network(scope.settings(), network="baseline_matched", context=context, pipes=pipes)


@dg.asset(group_name="evaluation", kinds={"numpy", "mlflow"}, owners=OWNERS, deps=[multi_view], code_version="1")
def specificity_multi_view(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold of two views: chosen on one half of validation, reported on the other."""
    return calibrate_network(scope.settings(), network="multi_view", context=context, pipes=pipes)


@dg.asset(
    group_name="evaluation", kinds={"numpy", "mlflow"}, owners=OWNERS, deps=[knowledge_transfer], code_version="1"
)
def specificity_knowledge_transfer(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold of the network with knowledge transfer: chosen on one half of validation, reported on the other."""
    return calibrate_network(scope.settings(), network="knowledge_transfer", context=context, pipes=pipes)


@dg.asset(
    group_name="evaluation",
    kinds={"markdown", "mlflow"},
    owners=OWNERS,
    deps=[specificity_baseline, specificity_baseline_matched, specificity_multi_view, specificity_knowledge_transfer],
    code_version="2",
)
def comparison(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The paper's Table 1 and Figures 3 and 4 for this dataset, the paper's own numbers beside them."""
    settings = scope.settings()
    manifest = DatasetManifest.read(settings.paths)
    found = build_comparison(settings, manifest)
    page = found.page.read_text(encoding="utf-8")
    run_id = comparison_run(
        settings,
        manifest,
        version=found.version,
        metrics=found.metrics,
        files=[found.page, *found.tables, *found.pictures.values()],
        tags=run_tags(settings, context),
    )
    return dg.MaterializeResult(
        metadata={
            "table": dg.MetadataValue.md(page.partition("\n\n![")[0]),
            "path": dg.MetadataValue.path(str(found.page)),
            "mlflow_run": dg.MetadataValue.url(run_url(settings, run_id)),
            **{title: picture(path, title=title) for title, path in found.pictures.items()},
        },
        data_version=dg.DataVersion(digest_of(*(sha256_of(table) for table in found.tables))),
    )
