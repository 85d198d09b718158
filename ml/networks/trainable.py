"""Which layers of a network training changes, and which it leaves as they are."""

import math

import torch
from torch import nn

from ml.networks.cuts import step_names, step_of
from ml.networks.description import BranchStart
from ml.networks.network import Network


def freeze(network: Network, *, trainable: float, branches: BranchStart) -> None:
    """Let gradients into the last part of the backbone only, and into everything that is new.

    Args:
        network: The network; changed in place.
        trainable: Share of the backbone's steps that training changes, counted from the output.
        branches: First weights of further views' branches: pretrained ones are treated as the whole view's, random
            ones are trained whole.
    """
    network.requires_grad_(requires_grad=True)
    if trainable == 1:
        return
    network.backbone.requires_grad_(requires_grad=False)
    kept = trainable_steps(network, share=trainable)
    for name in kept:
        step_of(network.backbone, name).requires_grad_(requires_grad=True)
    if network.plan is not None and branches == "pretrained":
        for branch in network.branches:
            for name, layers in zip(network.plan.branch, branch.children(), strict=True):
                layers.requires_grad_(requires_grad=name in kept)


def trainable_steps(network: Network, *, share: float) -> set[str]:
    """The last `share` of the backbone's steps that have parameters."""
    backbone = network.backbone
    modules = {name: step_of(backbone, name) for name in step_names(backbone)}
    steps = [name for name, step in modules.items() if any(True for _ in getattr(step, "parameters", list)())]
    return set(steps[len(steps) - math.ceil(share * len(steps)) :])


def set_training_mode(network: Network, *, branches: BranchStart, batch_norm_frozen: bool) -> None:
    """Set training mode; pretrained batch norms that are frozen, or all of them if asked, use running statistics.

    Args:
        network: The network; changed in place.
        branches: First weights of further views' branches: random ones have no statistics to keep.
        batch_norm_frozen: Whether all pretrained batch norms keep their statistics.
    """
    network.train()
    pretrained = [network.backbone, *(network.branches if branches == "pretrained" else ())]
    for module in (module for part in pretrained for module in part.modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            frozen = not any(parameter.requires_grad for parameter in module.parameters())
            if batch_norm_frozen or frozen:
                module.eval()


def steps_of_all_views(network: Network) -> tuple[str, ...]:
    """The steps that each view of a photograph goes through before the views are joined."""
    return () if network.plan is None else network.plan.stem + network.plan.branch


def count_frozen(network: Network) -> int:
    """How many of the first steps training does not change, as far as they are the same for all views."""
    apart = 0 if network.plan is None else len(network.plan.stem)
    for place, name in enumerate(steps_of_all_views(network)):
        step = step_of(network.backbone, name)
        if not isinstance(step, nn.Module):
            continue
        copies = [list(branch.children())[place - apart] for branch in network.branches] if place >= apart else []
        changing = any(parameter.requires_grad for part in (step, *copies) for parameter in part.parameters())
        if changing or not all(_same(step, copy) for copy in copies):
            return place
    return len(steps_of_all_views(network))


def _same(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())
