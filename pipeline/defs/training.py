"""Group `training`: each network is trained in child processes through Dagster Pipes."""

import dagster as dg

from pipeline.defs.scope_resource import Scope
from pipeline.defs.stages import train_network
from pipeline.defs.together import TRAININGS

DATASET = ["taxonomy", "split", "training_photos", "manifest"]
"""What every network is trained on."""


@dg.asset(kinds={"pytorch", "mlflow"}, deps=DATASET, pool=TRAININGS, code_version="2")
def baseline(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The paper's first network: one view of the photograph, a backbone with ImageNet weights, fine-tuned.

    A network that was trained on this dataset version with the same settings is found and not trained again.
    """
    return train_network(scope.settings(), network="baseline", context=context, pipes=pipes)


@dg.asset(kinds={"pytorch", "mlflow"}, deps=DATASET, pool=TRAININGS, code_version="1")
def baseline_matched(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """One view, trained with the schedule of the two-view network: the fair comparison that the paper lacks."""
    return train_network(scope.settings(), network="baseline_matched", context=context, pipes=pipes)


@dg.asset(kinds={"pytorch", "mlflow"}, deps=DATASET, pool=TRAININGS, code_version="1")
def multi_view(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The paper's second network: two views, the whole photograph and its magnified centre, joined half-way."""
    return train_network(scope.settings(), network="multi_view", context=context, pipes=pipes)


@dg.asset(kinds={"pytorch", "mlflow"}, deps=[*DATASET, "genus_photos"], pool=TRAININGS, code_version="1")
def genus_stage(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The first stage of knowledge transfer: two views that learn genera, with photographs of rare species too."""
    return train_network(scope.settings(), network="genus_stage", context=context, pipes=pipes)


@dg.asset(kinds={"pytorch", "mlflow"}, deps=[*DATASET, "genus_stage"], pool=TRAININGS, code_version="1")
def knowledge_transfer(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The paper's third network: two views, where each species starts from what `genus_stage` learnt of its genus."""
    return train_network(scope.settings(), network="knowledge_transfer", context=context, pipes=pipes)
