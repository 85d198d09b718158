"""Groups of parameters for an optimiser: which rate and which weight decay each parameter of a network gets."""

from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any

from torch import nn

from ml.networks.layers import depths
from ml.networks.network import Network
from ml.training.recipes import Recipe


def groups(network: Network, recipe: Recipe) -> list[dict[str, Any]]:
    """The trainable parameters of `network`, grouped by rate and weight decay in a fixed order.

    Rates fall by `layer_decay` for each layer from the head down, as in BEiT's fine-tuning and in
    `timm.optim.param_groups_layer_decay`. Layers of a pretrained branch are as deep as those of the whole view that
    they are copies of. What is new gets the full rate: random branches, the fusion and the auxiliary classifier; heads
    get `head_scale` times it.

    Returns:
        Groups for an optimiser, each with `scale`, by which the schedule's rate is multiplied, and `weight_decay`.
    """
    heads = {id(parameter) for head in network.heads() for parameter in head.parameters()}
    layer_of, top = depths(network.backbone)
    spared = _spared_by_slim(network) if recipe.optimiser == "tf_adam" else _spared(network)

    def scale(name: str, parameter: nn.Parameter) -> float:
        if id(parameter) in heads:
            return recipe.head_scale
        place = network.place_in_backbone(name)
        if place is None or (name.startswith("branches.") and recipe.branches == "random"):
            return 1.0
        return recipe.layer_decay ** (top - layer_of[place])

    found: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            kind = (id(parameter) in heads, scale(name, parameter), spared(name, parameter))
            found.setdefault(kind, []).append(parameter)
    return [
        {"params": found[kind], "weight_decay": 0.0 if kind[2] else recipe.weight_decay, "scale": kind[1]}
        for kind in sorted(found)
    ]


def _spared_by_slim(network: Network) -> Callable[[str, nn.Parameter], bool]:
    """TF-slim regularises weights and biases of convolutions and linear layers, and spares batch norms.

    Source: `slim/nets/inception_resnet_v2.py`, `inception_resnet_v2_arg_scope`.
    """
    norms = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for parameter in module.parameters(recurse=False)
    }
    return lambda _, parameter: id(parameter) in norms


def _spared(network: Network) -> Callable[[str, nn.Parameter], bool]:
    """Vectors (norms, biases, scales of layers), position embeddings, tokens, and what timm names for the family.

    Source: `timm.optim.param_groups_weight_decay`, with the backbone's `no_weight_decay`. What a backbone holds itself,
    outside of any layer, are tokens and position embeddings, of which timm's lists forget the register tokens.
    """
    backbone: Any = network.backbone
    patterns = backbone.no_weight_decay() if hasattr(backbone, "no_weight_decay") else ()

    def spared(name: str, parameter: nn.Parameter) -> bool:
        place = network.place_in_backbone(name)
        if parameter.ndim <= 1 or name.endswith(".bias"):
            return True
        return place is not None and ("." not in place or any(fnmatch(place, pattern) for pattern in patterns))

    return spared
