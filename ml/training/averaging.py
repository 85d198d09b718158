"""Averages that evaluation needs: of the weights over the steps, and of batch statistics after a short training."""

import threading
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from ml.devices import Device
from ml.errors import InterruptedTrainingError
from ml.images.augmentation import RandomChanges
from ml.images.loader import Loader
from ml.images.pack import Photos
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network
from ml.networks.trainable import set_training_mode
from ml.training.recipes import Recipe
from ml.training.statistics import recompute_statistics, too_short


class Average(ModelEmaV3):
    """The exponential moving average of a network's weights and running statistics.

    Statistics are averaged as the weights are: they describe what the weights of all these steps gave. Of timm's
    average this is the decay and the copy; the tensors are looked up once, where timm builds two state dictionaries in
    each step, and whole numbers are copied together.
    """

    def __init__(self, network: Network, *, decay: float) -> None:
        """Begin with the weights of `network`, on its device; neither may be replaced by other tensors afterwards.

        After t steps the decay is the lesser of `decay` and (1 + t) / (10 + t), as in TensorFlow's
        `ExponentialMovingAverage`.
        """
        # timm's warm-up is 1 - (1 + s / gamma) ^ -power; at step t, s is t less `update_after_step`, less 1.
        super().__init__(
            network, decay=decay, use_warmup=True, warmup_gamma=9.0, warmup_power=1.0, update_after_step=-2
        )
        averages, present = self.module.state_dict(), network.state_dict()
        numbers = [name for name, tensor in present.items() if tensor.is_floating_point()]
        counts = [name for name, tensor in present.items() if not tensor.is_floating_point()]
        self._numbers = [averages[name] for name in numbers], [present[name] for name in numbers]
        self._counts = [averages[name] for name in counts], [present[name] for name in counts]

    def apply_update_(self, model: nn.Module, decay: float) -> None:  # noqa: ARG002 (timm's signature)
        """Move the average on, by the present weights of the network that it began with."""
        torch._foreach_lerp_(*self._numbers, weight=1.0 - decay)
        if self._counts[0]:
            torch._foreach_copy_(*self._counts)


def settle_statistics(
    network: Network,
    *,
    recipe: Recipe,
    steps: int,
    photos: Photos,
    positions: NDArray[np.intp],
    changes: RandomChanges,
    loader: Loader | FrozenLayers,
    device: Device,
    stop: threading.Event,
) -> int:
    """Take the running statistics of batch norms anew where training was too short for them to settle.

    Args:
        network: On its device; left in training mode.
        recipe: How it was trained.
        steps: How many steps.
        photos: The training side.
        positions: Photographs in it that are looked at, over all processes; in batches of two at least.
        changes: How they are changed at random.
        loader: Gives them as the network takes them.
        device: This process's device, and its place among all.
        stop: Set to end early; of several processes none ends here: the others would wait for it.

    Returns:
        How many photographs this process looked at; 0 where nothing was to be done.

    Raises:
        InterruptedTrainingError: `stop` was set.
    """
    set_training_mode(network, branches=recipe.branches, batch_norm_frozen=recipe.batch_norm_frozen)
    # As many batches in each process: they exchange their statistics.
    parts = len(positions) // device.world // max(2, recipe.batch // device.world)
    if not parts or not too_short(network, steps=steps):
        return 0

    def inputs() -> Iterator[Tensor]:
        groups = np.array_split(positions[device.rank :: device.world], parts)
        for batch in loader.batches(photos, groups=groups, changes=changes):
            if stop.is_set() and device.world == 1:
                raise InterruptedTrainingError("interrupted while taking statistics; run again to go on from there")
            yield loader.inputs(batch.pixels, positions=batch.positions, changes=changes)

    return recompute_statistics(network, inputs(), device=device)
