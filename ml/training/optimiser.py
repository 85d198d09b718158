"""Optimisers and parameter groups: TensorFlow's Adam for the paper, AdamW for the sample."""

import math
from typing import Any, Final

import torch
from torch.optim import Optimizer

from ml.devices import Device
from ml.networks.network import Network
from ml.training.parameter_groups import groups
from ml.training.recipes import Recipe

ENDLESS: Final = 1e6
"""Steps after which a bias correction of Adam is 1: 0.999 to this power is 0 in any precision."""


class TFAdam(torch.optim.Adam):
    """Adam as TensorFlow computes it: epsilon is added before the bias correction ("epsilon hat").

    Source: tensorflow `python/training/adam.py`; with g the gradient plus `weight_decay` x weight,
    w -= lr x sqrt(1 - beta2^t) / (1 - beta1^t) x m / (sqrt(v) + eps). With the epsilon 1.0 that TF-slim recommends for
    Inception this differs from `torch.optim.Adam` by up to sqrt(1 / (1 - beta2^t)): a built-in warm-up. Here torch's
    own correction is 1, as after very many steps, and TensorFlow's is part of the learning rate; see `Rates`.
    """

    def __init__(self, params: list[dict[str, Any]], *, eps: float = 1.0) -> None:
        """Set up the parameter groups, on their device; their `weight_decay` is coupled (L2 in the loss)."""
        first = params[0]["params"][0]
        super().__init__(params, lr=torch.zeros(()), eps=eps, fused=True, capturable=first.is_cuda)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {
                    "step": torch.full((), ENDLESS, dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                    "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                }

    def correction(self, step: int) -> float:
        """TensorFlow's bias correction in the step after `step` others."""
        beta1, beta2 = self.defaults["betas"]
        return float(math.sqrt(1 - beta2 ** (step + 1)) / (1 - beta1 ** (step + 1)))


class Rates:
    """The learning rates of an optimiser's groups, in memory that stays where it is: a recorded step reads them."""

    def __init__(self, optimiser: Optimizer, *, device: Device) -> None:
        """Rates of 0; each group's `scale` multiplies the schedule's rate."""
        self._optimiser, self._device = optimiser, device
        self._rates = torch.zeros(len(optimiser.param_groups), device=device.device)
        self.bind()

    def bind(self) -> None:
        """Let the groups use these rates; needed again after a checkpoint was loaded."""
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate

    def set(self, rate: float, *, step: int) -> None:
        """Set the schedule's learning rate for the step after `step` others, without waiting for the device."""
        if isinstance(self._optimiser, TFAdam):
            rate *= self._optimiser.correction(step)
        scaled = [rate * group["scale"] for group in self._optimiser.param_groups]
        self._rates.copy_(self._device.send(torch.tensor(scaled)), non_blocking=True)


def create(network: Network, recipe: Recipe) -> Optimizer:
    """The optimiser of `recipe` over the trainable parameters of `network`, which is on its device already.

    Weight decay is L2 in the loss with `tf_adam` and decoupled with `adamw`.

    Returns:
        Groups in a fixed order, each with `scale`: the schedule's rate is multiplied by it (`Rates`).
    """
    chosen = groups(network, recipe)
    if recipe.optimiser == "tf_adam":
        return TFAdam(chosen, eps=recipe.eps)
    capturable = next(network.parameters()).is_cuda
    return torch.optim.AdamW(chosen, lr=torch.zeros(()), eps=recipe.eps, fused=True, capturable=capturable)
