"""How a trained network looks at a photograph: the one way, for evaluation, for the served model and for its export.

A network sees one cut of a photograph, its centre, or several of them (test-time augmentation); of each cut it takes
its views. The probabilities of the cuts are averaged, not the logits: each cut may be the one that shows the organism,
and the mean of distributions gives each taxon the mean of its own probabilities, at every rank of the tree.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ml.devices import Device
from ml.images.views import CENTRE, EVALUATION_CROP, Box, region_boxes, view_boxes
from ml.networks.description import NetworkSpec
from ml.networks.network import Network
from ml.spec import TestTime

PIXEL_DIMENSIONS = 5
"""Photographs, parts of each, channels, height and width."""
_REST = 1 - EVALUATION_CROP
CORNERS: tuple[Box, ...] = (
    (0.0, 0.0, EVALUATION_CROP, EVALUATION_CROP),
    (_REST, 0.0, 1.0, EVALUATION_CROP),
    (0.0, _REST, EVALUATION_CROP, 1.0),
    (_REST, _REST, 1.0, 1.0),
)
"""Crops as large as the centre's that reach into the corners (Krizhevsky et al. 2012)."""


class Seen(NamedTuple):
    """What a network makes of N photographs, in full precision."""

    probabilities: Tensor
    """Shape N x classes."""
    embeddings: Tensor
    """Pooled features, what the head sees. Shape N x F."""


def mirrored(box: Box) -> Box:
    """The same part of a photograph, mirrored."""
    left, upper, right, lower = box
    return right, upper, left, lower


def cuts_of(test_time: TestTime) -> tuple[Box, ...]:
    """The parts of a photograph that are looked at, the centre first."""
    return {"none": (CENTRE,), "mirror": (CENTRE, mirrored(CENTRE)), "crops": (CENTRE, *CORNERS)}[test_time]


def seen_boxes(spec: NetworkSpec, *, region: Box | None = None) -> list[Box]:
    """The parts of a photograph that go into the network, cut by cut: of each cut all its views.

    Args:
        spec: The network's description.
        region: Where the organism is, if that is known: the most magnified view shows just that part, and there are
            no crops around it.

    Raises:
        ValueError: the region is no part of a photograph.
    """
    if region is None:
        return [box for cut in cuts_of(spec.test_time) for box in view_boxes(cut, views=spec.views)]
    boxes = region_boxes(region, views=spec.views)
    return boxes + [mirrored(box) for box in boxes] if spec.test_time == "mirror" else boxes


def look(network: Network, inputs: Tensor, *, device: Device) -> Seen:
    """Probabilities and embeddings of photographs, averaged over their cuts.

    Args:
        network: In evaluation mode, on the device.
        inputs: Standardised pixels of the parts that `seen_boxes` lists (N, cuts x views, 3, H, W); for a network whose
            first steps have run already, their features (N, views, ...).
        device: Where it runs, and in which precision.
    """
    parts = inputs.shape[1] // len(network.spec.views) if inputs.dim() == PIXEL_DIMENSIONS else 1
    seen = []
    for cut in inputs.chunk(parts, dim=1):
        with device.autocast():
            pooled = network.features(cut).float()
        seen.append(Seen(probabilities=network.head(pooled).softmax(1), embeddings=pooled))
    return seen[0] if len(seen) == 1 else Seen(*(torch.stack(parts).mean(0) for parts in zip(*seen, strict=True)))
