"""A trained network as it is served: photographs in, species probabilities out, on the processor."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ml.devices import Device
from ml.images.photograph import upright_pixels
from ml.images.views import CENTRE, region_boxes, resize, standardise, view_boxes
from ml.networks.network import load
from ml.serving.question import Region
from ml.taxonomy import Floats

BATCH = 16
"""Photographs that go through the network at once."""

Views = npt.NDArray[np.uint8]
"""What the network sees of one photograph. Shape: views x image size x image size x 3."""


class Classifier:
    """A network with its weights."""

    def __init__(self, artifacts: Mapping[str, str]) -> None:
        """Build the network of the artifacts `network` and `weights`, given by their paths.

        Raises:
            KeyError: one of them is not among the artifacts.
            MlError: they are damaged, or do not belong together.
        """
        self._network = load(Path(artifacts["network"]), Path(artifacts["weights"]))

    def views(self, content: bytes, *, region: Region | None = None) -> Views:
        """What the network sees of a photograph: small, so that many are held where their pixels would not be.

        Args:
            content: The bytes of a file in one of `ml.images.photograph.FORMATS`.
            region: Where the organism is; the most magnified view then shows just that part (paper, section 3.1).

        Raises:
            PhotoError: the photograph cannot be decoded.
        """
        spec = self._network.spec
        boxes = region_boxes(region, views=spec.views) if region else view_boxes(CENTRE, views=spec.views)
        return resize(upright_pixels(content), boxes=boxes, image_size=spec.image_size)

    def probabilities(self, photographs: Sequence[Views]) -> Floats:
        """Species probabilities of one batch, before any temperature. Shape: photographs x classes."""
        spec, here = self._network.spec, Device(device=torch.device("cpu"), rank=0, world=1)
        with torch.inference_mode():
            pixels = here.pixels(torch.from_numpy(np.stack(photographs, axis=1)).transpose(0, 1))
            logits = self._network(standardise(pixels, spec.mean, spec.std))
            probabilities: Floats = logits.float().softmax(dim=1).numpy().astype(np.float64)
        return probabilities
