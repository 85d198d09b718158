"""What a specification asks that its recipe, network or device cannot give: it is refused, or said once.

The options that exclude each other whatever the network are refused by `ml.spec.TrainingOptions`.
"""

import torch

from ml.devices import Device
from ml.errors import TrainingError
from ml.networks.frozen import MOST_PHOTOS
from ml.networks.layers import blocks
from ml.networks.network import Network
from ml.networks.trainable import count_frozen, freeze, set_training_mode
from ml.spec import TrainSpec
from ml.training.recipes import Recipe
from ml.training.statistics import norms_in_training

TF32_CAPABILITY = (8, 0)
"""Compute capability of the first GPUs with TF32 (Ampere)."""


def remarks(spec: TrainSpec, *, recipe: Recipe, network: Network, device: Device, photos: int) -> list[str]:
    """What a person should know before the training begins: options that change nothing here.

    Args:
        spec: What to train.
        recipe: How.
        network: The network at its start. Its layers are frozen and set to training mode as the training will.
        device: This process's device and its place among all.
        photos: Photographs of the training side.

    Raises:
        TrainingError: an option cannot be had here; the message says which and what to change.
    """
    freeze(network, trainable=recipe.trainable, branches=recipe.branches)
    set_training_mode(network, branches=recipe.branches, batch_norm_frozen=recipe.batch_norm_frozen)
    norms = norms_in_training(network)
    _refuse_precision(device)
    _refuse_recomputing(spec, network)
    if recipe.segments:
        _refuse_shares(spec, recipe=recipe, world=device.world, paired=bool(norms) and not spec.sync_batch_norm)
    if spec.sync_batch_norm and (device.world == 1 or device.device.type != "cuda"):
        raise TrainingError(
            f"sync_batch_norm needs several processes with a GPU each, not {device.world} on {device.device.type}; "
            "leave it out"
        )
    return [
        remark
        for remark, true in {
            f"batch_scale {spec.batch_scale:g} changes nothing: recipe {recipe.name} only fits the head": (
                spec.batch_scale > 1 and not recipe.segments
            ),
            "sync_batch_norm changes nothing: no batch norm of this network is in training mode": (
                spec.sync_batch_norm and not norms
            ),
            f"the recipe's batch_norm_momentum changes nothing: {spec.backbone} has no batch norm in training mode": (
                recipe.batch_norm_momentum is not None and not norms and not recipe.frozen
            ),
            f"the recipe's auxiliary_weight changes nothing: {spec.backbone} has no auxiliary classifier": (
                recipe.auxiliary_weight > 0 and network.auxiliary is None and not recipe.frozen
            ),
            **_about_frozen_layers(recipe, network=network, device=device, photos=photos),
        }.items()
        if true
    ]


def _refuse_precision(device: Device) -> None:
    if device.precision != "tf32":
        return
    if device.device.type != "cuda":
        raise TrainingError(f"precision tf32 is a GPU's, and this is {device.device.type}; take fp32 or auto")
    if torch.cuda.get_device_capability(device.device) < TF32_CAPABILITY:
        raise TrainingError(f"{torch.cuda.get_device_name(device.device)} has no TF32; take precision fp32 or auto")


def _refuse_recomputing(spec: TrainSpec, network: Network) -> None:
    if spec.recompute and not blocks(network.backbone):
        raise TrainingError(
            f"recompute works block by block, and {spec.backbone} has no blocks; leave it out, and take "
            "training.accumulate where memory is short"
        )


def _refuse_shares(spec: TrainSpec, *, recipe: Recipe, world: int, paired: bool) -> None:
    """Refuse more processes or parts than a batch has photographs, or pairs of them where norms need pairs."""
    least, kind = (2, "pairs of photographs, which batch norms need") if paired else (1, "photographs")
    share = recipe.batch // world
    if share < least:
        raise TrainingError(
            f"a batch of {recipe.batch} has too few {kind}, for {world} processes; lower training.processes, or raise "
            "training.batch_scale"
        )
    if spec.accumulate > max(1, share // least):
        raise TrainingError(
            f"training.accumulate is {spec.accumulate}, and the {share} photographs that a process has of a batch have "
            f"too few {kind}; at most {max(1, share // least)}"
        )


def _about_frozen_layers(recipe: Recipe, *, network: Network, device: Device, photos: int) -> dict[str, bool]:
    """Whether, and why, frozen layers are computed again in each pass although the recipe would keep their features."""
    asked = recipe.reuse_frozen
    several, many = device.world > 1, photos > MOST_PHOTOS
    return {
        "the recipe's reuse_frozen changes nothing: several processes compute frozen layers in each pass": (
            asked and several
        ),
        f"the recipe's reuse_frozen changes nothing: it is for at most {MOST_PHOTOS:,} photographs": (
            asked and many and not several
        ),
        "the recipe's reuse_frozen changes nothing: no layer is frozen that all views go through first": (
            asked and not several and not many and count_frozen(network) == 0
        ),
    }
