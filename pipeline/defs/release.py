"""Group `release`: the best network as a version of the MLflow registry, and the gate in front of users."""

import dagster as dg

from ml.spec import RegisterResult
from pipeline.comparison.networks import best_network
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.evaluation import comparison
from pipeline.defs.resources import OWNERS, Scope, run_tags
from pipeline.launching.launch import run_child
from pipeline.launching.specs import result_of
from pipeline.registry.candidate import candidate_spec
from pipeline.registry.gate import promote
from pipeline.tracking.runs import run_url


@dg.asset(group_name="release", kinds={"mlflow"}, owners=OWNERS, deps=[comparison], code_version="1")
def candidate(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The best network of this dataset version, registered under the alias `challenger`."""
    settings = scope.settings()
    manifest = DatasetManifest.read(settings.paths)
    network = best_network(settings, manifest)
    spec = candidate_spec(settings, manifest, network=network, tags=run_tags(settings, context))
    file = run_child(
        context=context,
        pipes=pipes,
        stage="register",
        spec=spec.write(spec.output / "spec.json"),
        output=spec.output,
    )
    result = result_of(RegisterResult, file)
    return dg.MaterializeResult(
        metadata={
            "network": network,
            "model": result.model_name,
            "version": result.version,
            "mlflow_run": dg.MetadataValue.url(run_url(settings, result.mlflow_run_id)),
            "model_card": dg.MetadataValue.md(spec.model_card.read_text(encoding="utf-8")),
        },
        data_version=dg.DataVersion(spec.spec_hash),
    )


@dg.asset(group_name="release", kinds={"mlflow"}, owners=OWNERS, deps=[candidate], code_version="1")
def champion(context: dg.AssetExecutionContext, scope: Scope) -> dg.MaterializeResult[None]:
    """The version that users are served: the challenger takes the alias if it does not fall behind."""
    settings = scope.settings()
    decision = promote(settings)
    context.log.info(decision.reason)
    return dg.MaterializeResult(
        metadata={
            "model": settings.registry.model_name,
            "version": decision.champion,
            "challenger": decision.challenger,
            "promoted": decision.promoted,
            "reason": decision.reason,
        },
        data_version=dg.DataVersion(decision.champion),
    )
