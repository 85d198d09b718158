"""The parts of a network beside its backbone: the fusion of views, heads, and the auxiliary classifier of training."""

import torch
from torch import Tensor, nn

from ml.networks.cuts import Architecture
from ml.networks.description import HeadName
from ml.spec import FusionStart

AUXILIARY_SIDE = 5
"""Side of the map that the auxiliary classifier's last convolution covers whole: 17 pooled by 5 at stride 3."""
COSINE_SCALE = 10.0
"""First scale of cosines, as in Gidaris and Komodakis 2018."""


class Fusion(nn.Module):
    """Joins the views' features: concatenation in depth, then a 1x1 convolution back to the depth before.

    Source: paper section 3.1. By default it is Xavier-initialised and followed by batch norm and ReLU where the
    architecture has them at this place. Otherwise it starts by passing on the whole view (`identity`) or the mean of
    all views (`average`, for branches that start alike), and nothing follows it.
    """

    def __init__(
        self, *, architecture: Architecture, channels: int, views: int, start: FusionStart, normed: bool
    ) -> None:
        """Join the features of views.

        Args:
            architecture: The layout of features, and whether they are non-negative.
            channels: Of each view.
            views: How many.
            start: First weights.
            normed: Whether the layers around have batch norms.
        """
        super().__init__()
        self.axis = 1 if architecture.layout == "map" else -1
        normed = normed and start == "random"
        self.mix: nn.Conv2d | nn.Linear
        if architecture.layout == "map":
            self.mix = nn.Conv2d(views * channels, channels, kernel_size=1, bias=not normed)
        else:
            self.mix = nn.Linear(views * channels, channels)
        self.norm = nn.BatchNorm2d(channels) if normed else nn.Identity()
        self.act = nn.ReLU() if architecture.fusion_relu and start == "random" else nn.Identity()
        draw_xavier(self.mix)
        if start != "random":
            shares = [1.0] + [0.0] * (views - 1) if start == "identity" else [1 / views] * views
            with torch.no_grad():
                mixed = torch.cat([share * torch.eye(channels) for share in shares], dim=1)
                self.mix.weight.copy_(mixed.view_as(self.mix.weight))

    def forward(self, features: list[Tensor]) -> Tensor:
        """The joined features, of the shape of each of `features`."""
        joined: Tensor = self.act(self.norm(self.mix(torch.cat(features, dim=self.axis))))
        return joined


class CosineHead(nn.Linear):
    """Logits are cosines between a photograph's features and one direction per class, times a scale, plus a bias.

    Features are standardised before they are normalised: the mean that all photographs share would otherwise hide what
    tells them apart. Sources: Gidaris and Komodakis 2018, "Dynamic Few-Shot Visual Learning without Forgetting" (cosine
    classifier with a learnt scale); Wang et al. 2019, "SimpleShot" (centring, then normalising).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, features: int, classes: int) -> None:
        """Classify `features` numbers into `classes`; mean 0 and deviation 1 until they are measured."""
        super().__init__(features, classes)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.scale = nn.Parameter(torch.tensor(COSINE_SCALE))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Logits (N, classes) of features (N, F)."""
        directions = nn.functional.normalize((input - self.mean) / self.deviation, dim=1)
        return nn.functional.linear(directions, self.scale * self.directions(), self.bias)

    def directions(self) -> Tensor:
        """The direction of each class (classes, F), of length one; zero for a class that has none."""
        return nn.functional.normalize(self.weight, dim=1)


def head_of(name: HeadName, *, features: int, classes: int) -> nn.Linear:
    """A new head, Xavier-initialised, from pooled features (N, F) to logits (N, classes)."""
    head = nn.Linear(features, classes) if name == "linear" else CosineHead(features=features, classes=classes)
    draw_xavier(head)
    return head


class AuxiliaryHead(nn.Module):
    """A second classifier on the features of the whole-view branch, which only training uses.

    Source: TF-slim `inception_resnet_v2.py`, scope AuxLogits: average pooling 5x5 at stride 3, 1x1 convolution to 128,
    a convolution over the whole 5x5 map to 768, a linear layer. Maps of inputs other than 299 pixels are pooled to 5x5.
    """

    def __init__(self, *, channels: int, classes: int) -> None:
        """Classify maps of `channels` into `classes`."""
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(channels, 128, kernel_size=1, bias=False), nn.BatchNorm2d(128), nn.ReLU())
        self.cover = nn.Sequential(
            nn.Conv2d(128, 768, kernel_size=AUXILIARY_SIDE, bias=False), nn.BatchNorm2d(768), nn.ReLU()
        )
        self.head = nn.Linear(768, classes)
        draw_xavier(self)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, classes) of maps (N, C, H, W)."""
        if min(features.shape[2:]) >= AUXILIARY_SIDE:
            features = nn.functional.avg_pool2d(features, AUXILIARY_SIDE, stride=3)
        if tuple(features.shape[2:]) != (AUXILIARY_SIDE, AUXILIARY_SIDE):
            features = nn.functional.adaptive_avg_pool2d(features, AUXILIARY_SIDE)
        return in_full_precision(self.head, self.cover(self.reduce(features)).flatten(1))


def in_full_precision(layer: nn.Module, features: Tensor) -> Tensor:
    """`layer` of `features` in float32, also within autocast.

    A bfloat16 has three digits: logits in it would tie, and thresholds would be chosen on other numbers than those that
    another batch, device or precision gives.
    """
    device, features = features.device.type, features.float()
    result: Tensor
    if device == "meta" or not torch.is_autocast_enabled(device):
        result = layer(features)
        return result
    with torch.autocast(device, enabled=False):
        result = layer(features)
        return result


def draw_xavier(module: nn.Module) -> None:
    """Initialise every convolution and linear layer below `module` again, uniform after Xavier, with zero biases.

    Source: paper section 5 ("Xavier initialisation"); TF-slim's default.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
