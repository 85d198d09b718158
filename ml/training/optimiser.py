"""Optimisers and parameter groups: TensorFlow's Adam for the paper, AdamW for the sample."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from ml.networks.network import Network
from ml.training.parameter_groups import groups
from ml.training.recipes import Recipe


class TFAdam(torch.optim.Adam):
    """Adam as TensorFlow computes it: epsilon is added before the bias correction ("epsilon hat").

    Source: tensorflow `python/training/adam.py`; with g the gradient plus `weight_decay` x weight,
    w -= lr x sqrt(1 - beta2^t) / (1 - beta1^t) x m / (sqrt(v) + eps). With the epsilon 1.0 that TF-slim recommends for
    Inception this differs from `torch.optim.Adam` by up to sqrt(1 / (1 - beta2^t)): a built-in warm-up. torch divides
    sqrt(v) by sqrt(1 - beta2^t) before it adds its epsilon, which is therefore eps / sqrt(1 - beta2^t) in step t.
    """

    def __init__(self, params: list[dict[str, Any]], *, lr: float, eps: float = 1.0, weight_decay: float = 0.0) -> None:
        """Set up the parameter groups; `weight_decay` is coupled (L2 in the loss), as in TF-slim."""
        # With `foreach` the count of steps is on the processor, whatever the device: reading it waits for nothing.
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay, foreach=True)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; the parameters of a group take all steps together."""
        for group in self.param_groups:
            taken = self.state[group["params"][0]].get("step", torch.zeros(()))
            group["eps"] = self.defaults["eps"] / math.sqrt(1 - group["betas"][1] ** (int(taken) + 1))
        loss: float | None = super().step(closure)
        return loss


def create(network: Network, recipe: Recipe) -> Optimizer:
    """The optimiser of `recipe` over the trainable parameters of `network`.

    Weight decay is L2 in the loss with `tf_adam` and decoupled with `adamw`.

    Returns:
        Groups in a fixed order, each with `scale`: the schedule's rate is multiplied by it.
    """
    chosen = groups(network, recipe)
    if recipe.optimiser == "tf_adam":
        return TFAdam(chosen, lr=0.0, eps=recipe.eps)
    return torch.optim.AdamW(chosen, lr=0.0, eps=recipe.eps, fused=True)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the schedule's learning rate, times each group's scale."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]
