"""Networks of one view: any timm backbone under a new, Xavier-initialised species head, described by `network.json`.

Which pretrained weights go in belongs to `ml.weights`; how they are trained to `ml.trainer`.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load_file
from torch import Tensor, nn

from ml.errors import NetworkError, WeightsError

HALF = (0.5, 0.5, 0.5)
"""Pixels in [-1, 1], as TF-slim's Inception and EfficientNet-Lite were trained."""


class NetworkSpec(BaseModel):
    """All that is needed to build a network again; stored beside its weights as `network.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    """A timm architecture name."""
    classes: int | None = Field(default=None, ge=1)
    """Outputs of the head; `create` takes them from the taxonomy's leaves."""
    image_size: int = Field(ge=32)
    """Side of the square input, in pixels."""
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF
    dropout: float = Field(default=0.2, ge=0, lt=1)
    batch_norm_momentum: float | None = Field(default=None, gt=0, le=1)
    """Share of the new batch in the running statistics (slim: 1 - 0.9997); None keeps the architecture's."""
    batch_norm_eps: float | None = Field(default=None, gt=0)

    def write(self, path: Path) -> Path:
        """Write `network.json` atomically and return `path`."""
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
        return path

    @classmethod
    def read(cls, path: Path) -> "NetworkSpec":
        """Read `network.json`.

        Raises:
            NetworkError: the file is missing or describes no network.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise NetworkError(f"{path} does not describe a network: {error}") from error


class Leaves(Protocol):
    """What a network needs of `ml.taxonomy.Taxonomy`: the leaf range of the root counts the classes."""

    @property
    def leaf_end(self) -> NDArray[Any]:
        """Ends of the half-open class ranges, one per node in preorder."""
        ...


class Network(nn.Module):
    """A backbone without its classifier, dropout, and a linear head over the taxonomy's leaves."""

    def __init__(self, *, spec: NetworkSpec, backbone: nn.Module, features: int, classes: int) -> None:
        """Assemble the parts.

        Args:
            spec: The description, with `classes` set.
            backbone: Maps (N, 3, H, W) to pooled features (N, `features`).
            features: Width of the pooled features.
            classes: Outputs of the head.
        """
        super().__init__()
        self.spec = spec
        self.backbone = backbone
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(features, classes)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, pixels: Tensor) -> Tensor:
        """Pooled features (N, F) of normalised pixels (N, 3, H, W)."""
        pooled: Tensor = self.backbone(pixels)
        return pooled

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, classes) of normalised pixels (N, 3, H, W)."""
        logits: Tensor = self.head(self.dropout(self.features(pixels)))
        return logits

    def head_parameters(self) -> list[nn.Parameter]:
        """The parameters that start from nothing."""
        return list(self.head.parameters())

    def backbone_parameters(self) -> list[nn.Parameter]:
        """The parameters that may start from pretrained weights."""
        return list(self.backbone.parameters())


def create(spec: NetworkSpec, taxonomy: Leaves) -> Network:
    """Build a network with one output per leaf of `taxonomy`; its weights are random until loaded.

    Raises:
        NetworkError: the backbone is unknown, or `spec.classes` is set and is not the number of leaves.
    """
    leaves = int(np.asarray(taxonomy.leaf_end)[0])
    if spec.classes not in {None, leaves}:
        raise NetworkError(f"the network has {spec.classes} classes, but the taxonomy has {leaves} leaves")
    return build(spec.model_copy(update={"classes": leaves}))


def build(spec: NetworkSpec) -> Network:
    """Build the network that `spec` describes, with random weights.

    Raises:
        NetworkError: timm has no such backbone, or `spec.classes` is not set.
    """
    if spec.classes is None:
        raise NetworkError("the number of classes is not set: use create(spec, taxonomy)")
    backbone, width = bare_backbone(spec.backbone)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = spec.batch_norm_momentum or module.momentum
            module.eps = spec.batch_norm_eps or module.eps
    return Network(spec=spec, backbone=backbone, features=width, classes=spec.classes)


def bare_backbone(name: str, *, pretrained: bool = False) -> tuple[nn.Module, int]:
    """A timm backbone without classifier, and the width of its pooled features.

    Raises:
        NetworkError: timm has no such architecture.
    """
    if not timm.is_model(name):
        raise NetworkError(f"timm {timm.__version__} has no backbone named {name!r}; see timm.list_models()")
    backbone: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    return backbone, int(backbone.num_features)  # type: ignore[arg-type]


def load(network: Path, weights: Path) -> Network:
    """Build the network of `network.json` and load its `weights.safetensors`; in evaluation mode, on the CPU.

    Raises:
        NetworkError: `network.json` describes no network.
        WeightsError: the weights are unreadable or belong to another network.
    """
    built = build(NetworkSpec.read(network))
    try:
        built.load_state_dict(load_file(weights), strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{weights} are not the weights of {network}: {error}") from error
    return built.eval()


def count_parameters(module: nn.Module) -> int:
    """Number of parameters of `module`."""
    return sum(parameter.numel() for parameter in module.parameters())


def device_of(module: nn.Module) -> torch.device:
    """Where the parameters of `module` lie."""
    return next(module.parameters()).device
