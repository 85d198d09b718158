"""Where backbones can be cut: the table of their steps, the default cuts for several views, and running steps.

A new backbone is supported by a row in `ARCHITECTURES`. `ml.networks.network` joins the parts again.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal

from timm.models.convnext import ConvNeXt
from timm.models.densenet import DenseNet
from timm.models.efficientnet import EfficientNet
from timm.models.eva import Eva
from timm.models.inception_resnet_v2 import InceptionResnetV2
from timm.models.maxxvit import MaxxVit
from timm.models.metaformer import MetaFormer
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.regnet import RegNet
from timm.models.resnet import ResNet
from timm.models.resnetv2 import ResNetV2
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ml.errors import NetworkError

Step = nn.Module | Any
"""A module of a backbone, or a bound method of it (a vision transformer adds its position embedding by one)."""


def _ends_in_relu(backbone: nn.Module) -> bool:
    """Whether a RegNet's blocks end in a ReLU: those of RegNetZ end in a convolution."""
    return isinstance(backbone.get_submodule("s3.b1.act3"), nn.ReLU)


def _positions_for_all_blocks(backbone: nn.Module) -> bool:
    """Whether an Eva's blocks take one rotary embedding that is always the same."""
    return isinstance(backbone, Eva) and not backbone.rope_mixed and backbone.patch_drop is None


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How one family of timm backbones runs, step by step from pixels to the features before pooling."""

    steps: tuple[str, ...]
    """Attributes of the backbone in the order they run; `blocks.*` stands for every member of a sequence."""
    split_after: str
    """Default end of the stem, which all views share; `blocks.-2` is the last but one of a sequence."""
    merge_after: str
    """Default end of the branches, where the views are joined; `blocks.-2` as above."""
    layout: Literal["map", "tokens"] = "map"
    """Features between steps: maps (N, C, H, W), or channels last: tokens (N, T, C) and maps (N, H, W, C)."""
    fusion_relu: bool = False
    """Whether features are non-negative at the merge point, so that joined features must be, too."""
    xavier: bool = False
    """Whether random layers are initialised after Xavier (the paper, for InceptionResNetV2); otherwise as in timm."""
    auxiliary: bool = False
    """Whether the paper trains it with an auxiliary classifier at the end of the whole-view branch."""
    holds: Callable[[nn.Module], bool] | None = None
    """Whether a member of the family runs so, where some do not; None for all."""


ARCHITECTURES: Final[dict[type[nn.Module], Architecture]] = {
    InceptionResnetV2: Architecture(
        steps=(
            "conv2d_1a", "conv2d_2a", "conv2d_2b", "maxpool_3a", "conv2d_3b", "conv2d_4a", "maxpool_5a",
            "mixed_5b", "repeat", "mixed_6a", "repeat_1",
            "mixed_7a", "repeat_2", "block8", "conv2d_7b",
        ),
        split_after="maxpool_5a",
        merge_after="repeat_1",
        fusion_relu=True,
        xavier=True,
        auxiliary=True,
    ),
    EfficientNet: Architecture(
        steps=("conv_stem", "bn1", "blocks.*", "conv_head", "bn2"),
        split_after="blocks.2",
        merge_after="blocks.5",
    ),
    MobileNetV3: Architecture(
        steps=("conv_stem", "bn1", "blocks.*"),
        split_after="blocks.1",
        merge_after="blocks.-2",
    ),
    ConvNeXt: Architecture(
        steps=("stem", "stages.*", "norm_pre"),
        split_after="stages.0",
        merge_after="stages.2",
    ),
    ResNet: Architecture(
        steps=("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4"),
        split_after="layer1",
        merge_after="layer3",
        fusion_relu=True,
    ),
    ResNetV2: Architecture(
        steps=("stem", "stages.*", "norm"),
        split_after="stages.0",
        merge_after="stages.2",
    ),
    RegNet: Architecture(
        steps=("stem", "s1", "s2", "s3", "s4", "final_conv"),
        split_after="s1",
        merge_after="s3",
        fusion_relu=True,
        holds=_ends_in_relu,
    ),
    DenseNet: Architecture(
        steps=("features.*",),
        split_after="features.transition1",
        merge_after="features.transition3",
    ),
    MaxxVit: Architecture(
        steps=("stem", "stages.*", "norm"),
        split_after="stages.0",
        merge_after="stages.2",
    ),
    MetaFormer: Architecture(
        steps=("stem", "stages.*"),
        split_after="stages.0",
        merge_after="stages.2",
    ),
    SwinTransformer: Architecture(
        steps=("patch_embed", "layers.*", "norm"),
        split_after="layers.0",
        merge_after="layers.2",
        layout="tokens",
    ),
    SwinTransformerV2: Architecture(
        steps=("patch_embed", "layers.*", "norm"),
        split_after="layers.0",
        merge_after="layers.2",
        layout="tokens",
    ),
    VisionTransformer: Architecture(
        steps=("patch_embed", "_pos_embed", "patch_drop", "norm_pre", "blocks.*", "norm"),
        split_after="norm_pre",
        merge_after="blocks.7",
        layout="tokens",
    ),
    Eva: Architecture(
        steps=("patch_embed", "_pos_embed", "norm_pre", "blocks.*", "norm"),
        split_after="norm_pre",
        merge_after="blocks.-5",
        layout="tokens",
        holds=_positions_for_all_blocks,
    ),
}  # fmt: skip
"""The backbones that can be cut. Sources: timm's `forward_features` of each; the paper's Figure 2 for the first."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where one backbone is cut: the names of the steps of stem, branch and trunk."""

    architecture: Architecture
    stem: tuple[str, ...]
    branch: tuple[str, ...]
    trunk: tuple[str, ...]


def architecture_of(backbone: nn.Module) -> Architecture | None:
    """The row of the table for `backbone`; None for a family that is not in it (a subclass may run otherwise)."""
    architecture = ARCHITECTURES.get(type(backbone))
    if architecture is None or (architecture.holds is not None and not architecture.holds(backbone)):
        return None
    return architecture


def connect(backbone: nn.Module, *, source: nn.Module) -> None:
    """Let every block of `backbone` run by itself: an Eva's blocks get the rotary embedding of positions from `source`.

    In timm it is handed to each block by the network's `forward_features`. It has no parameters, and `source` has it on
    the device of the network.
    """
    rope = getattr(source, "rope", None)
    if isinstance(backbone, Eva) and _positions_for_all_blocks(backbone) and isinstance(rope, nn.Module):
        for block in backbone.blocks:
            block.register_forward_pre_hook(functools.partial(_with_positions, rope), with_kwargs=True)


def _with_positions(
    rope: nn.Module, block: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    del block
    return inputs, options if "rope" in options else {**options, "rope": rope.get_embed()}  # type: ignore[operator]


def uncut(backbone: nn.Module) -> Plan | None:
    """A plan for one view: all steps are the stem. None for a family that is not in the table."""
    architecture = architecture_of(backbone)
    if architecture is None:
        return None
    return Plan(architecture=architecture, stem=step_names(backbone), branch=(), trunk=())


def cut(backbone: nn.Module, *, split_after: str | None, merge_after: str | None) -> Plan:
    """Cut `backbone` into stem, branch and trunk.

    Args:
        backbone: A timm network.
        split_after: Last step of the stem; None takes the table's.
        merge_after: Last step of the branches; None takes the table's.

    Raises:
        NetworkError: the table lacks the family, or has no such step, or the branch would be empty.
    """
    architecture = architecture_of(backbone)
    if architecture is None:
        known = ", ".join(family.__name__ for family in ARCHITECTURES)
        name = type(backbone).__name__
        raise NetworkError(
            f"{'this' if type(backbone) in ARCHITECTURES else 'a'} {name} cannot be cut into stem, branch and trunk, "
            f"so that it takes one view only; ml.networks.cuts knows {known}"
        )
    steps = step_names(backbone)
    split, merge = (
        _counted(name, steps)
        for name in (split_after or architecture.split_after, merge_after or architecture.merge_after)
    )
    for name in (split, merge):
        if name not in steps:
            raise NetworkError(f"a {type(backbone).__name__} has no step {name!r}; its steps are {', '.join(steps)}")
    first, last = steps.index(split) + 1, steps.index(merge) + 1
    if first >= last:
        raise NetworkError(f"the views would be joined after {merge} before they are apart after {split}")
    return Plan(architecture=architecture, stem=steps[:first], branch=steps[first:last], trunk=steps[last:])


def _counted(name: str, steps: tuple[str, ...]) -> str:
    """`name`, or the member of a sequence that `blocks.-2` counts from its end."""
    container, _, place = name.rpartition(".-")
    members = [step for step in steps if container and step.startswith(f"{container}.")]
    return members[-int(place)] if place.isdigit() and 0 < int(place) <= len(members) else name


def step_names(backbone: nn.Module) -> tuple[str, ...]:
    """The steps of `backbone` with every sequence's members; of a family that is not in the table, its parts."""
    architecture = architecture_of(backbone)
    if architecture is not None:
        listed = architecture.steps
    else:
        parts = backbone.named_children()
        listed = tuple(f"{name}.*" if isinstance(part, nn.Sequential) else name for name, part in parts)
    names: list[str] = []
    for step in listed:
        container = step.removesuffix(".*")
        if container == step:
            names.append(step)
        else:
            names.extend(f"{container}.{name}" for name, _ in step_of(backbone, container).named_children())
    return tuple(names)


def step_of(backbone: nn.Module, name: str) -> Step:
    """The step `name` (an attribute path) of `backbone`."""
    return attrgetter(name)(backbone)


def run(steps: Iterable[Step], features: Tensor) -> Tensor:
    """Apply `steps` one after another to the input of the first."""
    for step in steps:
        result = step(features)
        # An Eva's position step returns the rotary embedding, too, which its blocks have already (`connect`).
        features = result[0] if isinstance(result, tuple) else result
    return features
