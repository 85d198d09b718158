"""Where backbones can be cut: the table of their steps, the default cuts for several views, and running steps.

A new backbone is supported by a row in `ARCHITECTURES`. `ml.networks.network` joins the parts again.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal

from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.inception_resnet_v2 import InceptionResnetV2
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ml.errors import NetworkError

Step = nn.Module | Any
"""A module of a backbone, or a bound method of it (a vision transformer adds its position embedding by one)."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How one family of timm backbones runs, step by step from pixels to the features before pooling."""

    steps: tuple[str, ...]
    """Attributes of the backbone in the order they run; `blocks.*` stands for every member of a sequence."""
    split_after: str
    """Default end of the stem, which all views share."""
    merge_after: str
    """Default end of the branches, where the views are joined."""
    layout: Literal["map", "tokens"] = "map"
    """Features between steps: maps (N, C, H, W), or tokens (N, T, C)."""
    fusion_norm: bool = False
    """Whether joined features are batch-normalised, as the layers around them are."""
    fusion_relu: bool = False
    """Whether features are non-negative at the merge point, so that joined features must be, too."""
    xavier: bool = False
    """Whether random layers are initialised after Xavier (the paper, for InceptionResNetV2); otherwise as in timm."""
    auxiliary: bool = False
    """Whether the paper trains it with an auxiliary classifier at the end of the whole-view branch."""


ARCHITECTURES: Final[dict[type[nn.Module], Architecture]] = {
    InceptionResnetV2: Architecture(
        steps=(
            "conv2d_1a", "conv2d_2a", "conv2d_2b", "maxpool_3a", "conv2d_3b", "conv2d_4a", "maxpool_5a",
            "mixed_5b", "repeat", "mixed_6a", "repeat_1",
            "mixed_7a", "repeat_2", "block8", "conv2d_7b",
        ),
        split_after="maxpool_5a",
        merge_after="repeat_1",
        fusion_norm=True,
        fusion_relu=True,
        xavier=True,
        auxiliary=True,
    ),
    EfficientNet: Architecture(
        steps=("conv_stem", "bn1", "blocks.*", "conv_head", "bn2"),
        split_after="blocks.2",
        merge_after="blocks.5",
        fusion_norm=True,
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
        fusion_norm=True,
        fusion_relu=True,
    ),
    VisionTransformer: Architecture(
        steps=("patch_embed", "_pos_embed", "patch_drop", "norm_pre", "blocks.*", "norm"),
        split_after="norm_pre",
        merge_after="blocks.7",
        layout="tokens",
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
    return ARCHITECTURES.get(type(backbone))


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
        raise NetworkError(
            f"a {type(backbone).__name__} cannot be cut into stem, branch and trunk: ml.networks.cuts knows {known}"
        )
    steps = step_names(backbone)
    split, merge = split_after or architecture.split_after, merge_after or architecture.merge_after
    for name in (split, merge):
        if name not in steps:
            raise NetworkError(f"a {type(backbone).__name__} has no step {name!r}; its steps are {', '.join(steps)}")
    first, last = steps.index(split) + 1, steps.index(merge) + 1
    if first >= last:
        raise NetworkError(f"the views would be joined after {merge} before they are apart after {split}")
    return Plan(architecture=architecture, stem=steps[:first], branch=steps[first:last], trunk=steps[last:])


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


def run(steps: Iterable[Step], features: Tensor, *, recompute: bool = False) -> Tensor:
    """Apply `steps` one after another.

    Args:
        steps: What to apply.
        features: Input of the first.
        recompute: Keep only the inputs of each block and compute the rest again in the backward pass (gradient
            checkpointing): less memory for a third more time, the same gradients and batch-norm statistics.
    """
    for step in steps:
        for block in step if isinstance(step, nn.Sequential) else (step,):
            # The features of a single layer are cheap to keep, and an in-place activation would spoil its own input.
            composite = isinstance(block, nn.Module) and any(True for _ in block.children())
            features = _recomputed(block, features) if recompute and composite else block(features)
    return features


def _recomputed(block: nn.Module, features: Tensor) -> Tensor:
    result: Tensor = checkpoint(
        block, features, use_reentrant=False, context_fn=lambda: (contextlib.nullcontext(), _statistics_kept(block))
    )
    return result


@contextlib.contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Normalise by the batch without updating running statistics: the first run of the block has updated them."""
    kept = []
    for norm in block.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.num_batches_tracked is not None:
            kept.append((norm, norm.momentum, norm.num_batches_tracked.clone()))
            norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in kept:
            norm.momentum = momentum
            norm.num_batches_tracked = count
