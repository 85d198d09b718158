"""Group `release`: the best network as a model version of the MLflow registry."""

import dagster as dg

from ml.spec import RegisterResult
from pipeline.comparison.networks import NETWORKS
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.logged import CARD
from pipeline.defs.metadata import result
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.defs.scope_resource import Scope
from pipeline.defs.together import PROCESSOR
from pipeline.defs.version_links import numbers_and_links
from pipeline.launching.launch import run_child
from pipeline.launching.specs import result_of
from pipeline.production.record import Production
from pipeline.registry.candidate import candidate_spec
from pipeline.tracking.runs import log_files


@dg.asset(
    op_tags=PROCESSOR,
    kinds={"mlflow"},
    deps=["taxonomy", "split", "attribution", "manifest", "production", "specificity_production"],
    code_version="2",
)
def candidate(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The training of `production`, registered as a model version under the alias `challenger`.

    It carries weights, thresholds, model card, figures and attribution. The same weights are registered once.
    """
    settings = scope.settings()
    mlflow_answers(settings)
    dataset, production = DatasetManifest.read(settings.paths), Production.read(settings.paths)
    spec = candidate_spec(settings, dataset, production=production, tags=run_tags(settings, context))
    file = run_child(
        context=context,
        pipes=pipes,
        stage="register",
        spec=spec.write(spec.output / "spec.json"),
        output=spec.output,
    )
    registered = result_of(RegisterResult, file)
    if spec.model_page is not None:
        log_files(settings, registered.mlflow_run_id, {CARD: spec.model_page})
    return result(
        context,
        settings,
        data_version=spec.spec_hash,
        metadata={
            "network": NETWORKS[production.network].title,
            "version": f"{registered.model_name} {registered.version}",
            **numbers_and_links(settings, registered.version),
            "model card as text": dg.MetadataValue.md(spec.model_card.read_text(encoding="utf-8")),
        },
    )
