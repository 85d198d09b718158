"""The layers of a backbone from its input to its output, as timm groups them (`group_matcher`)."""

from typing import Any

from timm.models._manipulate import group_with_matcher
from torch import nn

from ml.networks.cuts import step_names

_HEAD = "head of the network"
"""Stands for the classifier, which a bare backbone lacks: no pattern of timm's matches it."""


def depths(backbone: nn.Module) -> tuple[dict[str, int], int]:
    """The place of each parameter of `backbone` in the order of its layers.

    Source: `timm.optim.param_groups_layer_decay`, which groups a whole timm network by its `group_matcher`: a block is
    a layer, the embedding before the blocks is the first, and what no pattern matches goes with the classifier. A
    family without `group_matcher` is grouped by its steps (`ml.networks.cuts.step_names`).

    Returns:
        The layer of each parameter's name, from 0 at the input, and the layer that a classifier would be.
    """
    names = [name for name, _ in backbone.named_parameters()]
    matcher: Any = getattr(backbone, "group_matcher", None)
    if matcher is None:
        steps = step_names(backbone)
        found = {
            name: max((place for place, step in enumerate(steps) if name.startswith(f"{step}.")), default=0)
            for name in names
        }
        return found, len(steps)
    grouped: dict[str, int] = group_with_matcher(
        ((name, None) for name in (*names, _HEAD)),
        matcher(coarse=False),
        reverse=True,
    )
    head = grouped.pop(_HEAD)
    return grouped, head


def blocks(backbone: nn.Module) -> tuple[str, ...]:
    """The names of the largest modules of `backbone` that belong to one layer and are more than one operation."""
    layer_of, _ = depths(backbone)
    found: list[str] = []

    def look(module: nn.Module, prefix: str) -> None:
        for name, child in module.named_children():
            path = f"{prefix}{name}"
            layers = {layer_of[f"{path}.{inner}"] for inner, _ in child.named_parameters()}
            parts = sum(1 for part in child.modules() if part._parameters)
            if len(layers) == 1 and parts > 1 and not isinstance(child, nn.Sequential | nn.ModuleList):
                found.append(path)
            elif parts > 1:
                look(child, f"{path}.")

    look(backbone, "")
    return tuple(found)
