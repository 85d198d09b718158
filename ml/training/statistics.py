"""Running statistics of batch norms: shared by the processes of a training, and taken anew after a short one.

Statistics are buffers: no gradient and no optimiser changes them. In training mode a norm moves them towards each batch
by its momentum m, so that after n steps (1 - m)^n of the first ones is left.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Final

import torch
from torch import Tensor, nn

from ml.devices import Device
from ml.errors import TrainingError
from ml.networks.network import Network

MOST_LEFT: Final = 0.01
"""The share of the first statistics that evaluation may still see."""


def norms_in_training(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch norms that normalise by the statistics of each batch and keep running ones for evaluation."""
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.training
        and module.running_mean is not None
        and module.running_var is not None
    ]


@torch.no_grad()
def share_statistics(network: nn.Module, *, device: Device, weight: float = 1.0) -> None:
    """Give every process the statistics of all: those of the photographs of all processes together.

    Each process has seen other photographs. The mean of all is the mean of the means m_r; the variance of all is the
    mean of the variances v_r plus the variance of the means (law of total variance): E[v + m^2] - E[m]^2. One message
    carries all norms; norms in evaluation mode are the same everywhere and are left out. Call it in every process, once
    per epoch: before a checkpoint and before evaluation. With one process nothing changes.

    Args:
        network: The network that this process trained; changed in place.
        device: This process's place among all.
        weight: What this process's statistics count, relative to those of the others: with 0 they are replaced.

    Raises:
        TrainingError: the weights of all processes are 0.
    """
    norms = norms_in_training(network)
    if device.world == 1 or not norms:
        return
    # Both are set: `norms_in_training` looked.
    means = torch.cat([norm.running_mean.double().flatten() for norm in norms])  # type: ignore[union-attr]
    variances = torch.cat([norm.running_var.double().flatten() for norm in norms])  # type: ignore[union-attr]
    own = torch.cat([means, variances + means.square(), means.new_ones(1)])
    # Not 0 times them: statistics that count for nothing may be infinite.
    summed = device.add_up(own * weight if weight else torch.zeros_like(own))
    total = float(summed[-1])
    if total == 0:
        raise TrainingError("no process has statistics of batch norms to share: none of them saw a photograph")
    mean, square = (summed[:-1] / total).chunk(2)
    variance = (square - mean.square()).clamp_min_(0.0)
    sizes = [norm.num_features for norm in norms]
    for norm, its_mean, its_variance in zip(norms, torch.split(mean, sizes), torch.split(variance, sizes), strict=True):
        norm.running_mean.copy_(its_mean)  # type: ignore[union-attr]
        norm.running_var.copy_(its_variance)  # type: ignore[union-attr]


def left_of_the_first(network: nn.Module, *, steps: int) -> float:
    """The largest share of their first statistics that batch norms in training mode still hold after `steps` steps.

    0 without such norms. A norm without momentum averages over all batches: nothing is left after the first.
    """
    return max(
        ((1 - norm.momentum) ** steps for norm in norms_in_training(network) if norm.momentum is not None),
        default=0.0,
    )


def too_short(network: nn.Module, *, steps: int) -> bool:
    """Whether a training of `steps` steps leaves statistics that evaluation should not see; see `MOST_LEFT`."""
    return left_of_the_first(network, steps=steps) > MOST_LEFT


@torch.no_grad()
def recompute_statistics(network: Network, batches: Iterable[Tensor], *, device: Device) -> int:
    """Replace the running statistics of batch norms in training mode by their mean over `batches`.

    As `torch.optim.swa_utils.update_bn`, which averages over batches of equal weight and needs the count that a norm
    keeps of its batches; here each photograph has the same weight, and no count is needed. Everything but these norms
    is in evaluation mode meanwhile, dropout included: the statistics are those of the network as it is evaluated, and
    no random number is drawn. Afterwards every module is in the mode it was in. A batch of fewer than two photographs
    has no variance and is left out.

    Args:
        network: The trained network, on its device and in training mode (`set_training_mode`); changed in place.
        batches: What the network takes of training photographs, standardised (N, views, 3, H, W), in this process's
            share; the auxiliary classifier's norms see them, too. All processes must give equally many.
        device: This process's device and its place among all, whose statistics are shared at the end.

    Returns:
        How many photographs this process averaged over.

    Raises:
        TrainingError: no process had a batch of two photographs.
    """
    norms = norms_in_training(network)
    if not norms:
        return 0
    synchronised = any(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
    seen = 0
    with _only_in_training(network, norms):
        for inputs in batches:
            fit = len(inputs) > 1
            if synchronised:
                # These norms wait for each other: a process that left its batch out would be waited for.
                fit = not device.any(not fit)
            if not fit:
                continue
            seen += len(inputs)
            for norm in norms:
                # 1 for the first batch, which therefore leaves nothing of what was there before.
                norm.momentum = len(inputs) / seen
            with device.autocast():
                network.outputs(inputs)
    if seen == 0 and device.world == 1:
        raise TrainingError("no batch of two photographs to take the statistics of batch norms from")
    share_statistics(network, device=device, weight=seen)
    return seen


@contextlib.contextmanager
def _only_in_training(network: nn.Module, norms: list[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Evaluation mode for all but `norms`; modes and momentums are restored afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    momentums = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.training = True
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for norm, momentum in zip(norms, momentums, strict=True):
            norm.momentum = momentum
