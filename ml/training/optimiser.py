"""Optimisers and parameter groups: TensorFlow's Adam for the paper, AdamW for the sample."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ml.networks.network import Network
from ml.training.recipes import OptimiserName


class TFAdam(Optimizer):
    """Adam as TensorFlow computes it: epsilon is added before the bias correction ("epsilon hat").

    Source: tensorflow `python/training/adam.py`; with g the gradient plus `weight_decay` x weight,
    w -= lr x sqrt(1 - beta2^t) / (1 - beta1^t) x m / (sqrt(v) + eps). With the epsilon 1.0 that TF-slim recommends for
    Inception this differs from `torch.optim.Adam` by up to sqrt(1 / (1 - beta2^t)): a built-in warm-up.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        """Set up the parameter groups; `weight_decay` is coupled (L2 in the loss), as in TF-slim."""
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            chosen = [parameter for parameter in group["params"] if parameter.grad is not None]
            if chosen:
                self._update(chosen, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Update `parameters`, all at once: one kernel for many tensors where the device has such."""
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros(()),
                    "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                    "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                }
        steps, means, squares = (
            [self.state[parameter][name] for parameter in parameters] for name in ("step", "exp_avg", "exp_avg_sq")
        )
        gradients: Any = [parameter.grad for parameter in parameters]
        if group["weight_decay"]:
            gradients = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, 1)
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        below = torch._foreach_sqrt(squares)
        torch._foreach_add_(below, group["eps"])
        # Steps lie on the processor, whatever the device: reading them waits for nothing.
        counts = [step.item() for step in steps]
        rates = [-group["lr"] * math.sqrt(1 - beta2**count) / (1 - beta1**count) for count in counts]
        torch._foreach_addcdiv_(parameters, means, below, rates)


def create(
    network: Network,
    *,
    name: OptimiserName,
    weight_decay: float,
    eps: float,
    head_scale: float = 1.0,
) -> Optimizer:
    """The optimiser over the trainable parameters of `network`.

    Args:
        network: The network; parameters without `requires_grad` are left out.
        name: `tf_adam` (coupled L2) or `adamw` (decoupled).
        weight_decay: For weights of convolutions and linear layers; biases of batch norm and its scales are spared.
        eps: Epsilon of the optimiser.
        head_scale: Learning rate of the head as a multiple of the backbone's.

    Returns:
        Groups in a fixed order, each with `scale`: multiply the schedule's rate by it.
    """
    groups = _groups(network, weight_decay=weight_decay, head_scale=head_scale)
    if name == "tf_adam":
        return TFAdam(groups, lr=0.0, eps=eps)
    return torch.optim.AdamW(groups, lr=0.0, eps=eps, fused=True)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the schedule's learning rate, times each group's scale."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def _groups(network: Network, *, weight_decay: float, head_scale: float) -> list[dict[str, Any]]:
    normalised: set[Tensor] = set()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            normalised.update(module.parameters(recurse=False))
    head = {parameter for linear in network.heads() for parameter in linear.parameters()}
    groups = []
    for in_head, decayed in ((False, True), (False, False), (True, True)):
        chosen = [
            parameter
            for parameter in network.parameters()
            if parameter.requires_grad and (parameter in head) == in_head and (parameter not in normalised) == decayed
        ]
        if chosen:
            scale = head_scale if in_head else 1.0
            groups.append({"params": chosen, "weight_decay": weight_decay if decayed else 0.0, "scale": scale})
    return groups
