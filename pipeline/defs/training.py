"""Group `training`: each network is trained in child processes through Dagster Pipes."""

import dagster as dg

from pipeline.defs.dataset import training_photos
from pipeline.defs.resources import OWNERS, Scope
from pipeline.defs.stages import train_network


@dg.asset(
    group_name="training",
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    deps=[training_photos],
    pool="gpu",
    code_version="2",
)
def baseline(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The paper's first network: one view of the photograph, ImageNet weights, fine-tuned."""
    return train_network(scope.settings(), network="baseline", context=context, pipes=pipes)


@dg.asset(
    group_name="training",
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    deps=[training_photos],
    pool="gpu",
    code_version="1",
)
def baseline_matched(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """One view, trained like the network of two views: what the paper's first row lacks for a fair comparison."""
    return train_network(scope.settings(), network="baseline_matched", context=context, pipes=pipes)


@dg.asset(
    group_name="training",
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    deps=[training_photos],
    pool="gpu",
    code_version="1",
)
def multi_view(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The paper's second network: the whole photograph and its magnified centre, joined half-way."""
    return train_network(scope.settings(), network="multi_view", context=context, pipes=pipes)


@dg.asset(
    group_name="training",
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    deps=[training_photos],
    pool="gpu",
    code_version="1",
)
def genus_stage(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The first stage of knowledge transfer: two views that tell genera apart, rare species included."""
    return train_network(scope.settings(), network="genus_stage", context=context, pipes=pipes)


@dg.asset(
    group_name="training",
    kinds={"pytorch", "mlflow"},
    owners=OWNERS,
    deps=[genus_stage],
    pool="gpu",
    code_version="1",
)
def knowledge_transfer(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The paper's third network: two views, each species started from what the genus stage knows of its genus."""
    return train_network(scope.settings(), network="knowledge_transfer", context=context, pipes=pipes)
