"""Larger batches than a recipe's: how its rates, averages and statistics follow (`training.batch_scale`)."""

import math
from typing import Final

from ml.training.recipes import Recipe

SGD_EPSILON: Final = 0.1
"""From this epsilon on it outweighs the root of Adam's second moments, which the gradients of a mean loss keep far
below it: steps are then proportional to gradients, as in SGD."""
LARGE_BATCH_WARMUP: Final = 0.05
"""Share of the steps over which a scaled recipe's rate rises: the 5 of 90 epochs of Goyal et al. (2017)."""


def scaled(recipe: Recipe, batch_scale: float) -> Recipe:
    """The recipe with batches of k = `batch_scale` times as many photographs and the same epochs: k times fewer steps.

    - Rates grow by k where the optimiser acts as SGD does, which is where epsilon outweighs the gradients, as the
      paper's Adam with an epsilon of 1 (Krizhevsky 2014, "One weird trick"; Goyal et al. 2017, "Accurate, Large
      Minibatch SGD"). Where steps are divided by the gradients' size, they grow by the square root of k, and epsilon
      shrinks by it (Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms").
    - Weight decay beside the loss (AdamW) keeps its share per epoch: it grows by what the rate does not.
    - Over the first `LARGE_BATCH_WARMUP` of the steps at least, rates rise from zero (Goyal et al. 2017, section 2.2).
    - Statistics of batch norms and the average of the weights cover as many photographs as before: a momentum m becomes
      1 - (1 - m)^k, a decay d becomes d^k (Busbridge et al. 2023, "How to Scale Your EMA").
    - The head that is fitted before knows no batches, and stays.

    Args:
        recipe: How a network is trained.
        batch_scale: At least 1. The batch is rounded to whole photographs, and k is what came of it.

    Raises:
        ValueError: `batch_scale` is below 1, or no number.
    """
    if not 1 <= batch_scale < math.inf:
        raise ValueError(f"batch_scale must be at least 1, not {batch_scale}")
    batch = round(recipe.batch * batch_scale)
    if batch == recipe.batch:
        return recipe
    factor = batch / recipe.batch
    as_sgd = recipe.eps >= SGD_EPSILON
    by = factor if as_sgd else math.sqrt(factor)
    changed: dict[str, object] = {
        "name": f"{recipe.name} x {factor:g}",
        "batch": batch,
        "segments": tuple(each.model_copy(update={"rate": each.rate * by}) for each in recipe.segments),
        "warmup": max(recipe.warmup, LARGE_BATCH_WARMUP),
    }
    if not as_sgd:
        changed["eps"] = recipe.eps / by
    if recipe.optimiser == "adamw":
        changed["weight_decay"] = recipe.weight_decay * factor / by
    if recipe.batch_norm_momentum is not None:
        changed["batch_norm_momentum"] = 1 - (1 - recipe.batch_norm_momentum) ** factor
    if recipe.ema is not None:
        changed["ema"] = recipe.ema**factor
    return recipe.model_copy(update=changed)
