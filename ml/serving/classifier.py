"""A trained network as it is served: photographs in, species probabilities and embeddings out.

It runs on a GPU where there is one, in the precision that it was evaluated and calibrated in, and on the processor in
full precision otherwise.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from ml.devices import Device
from ml.images.photograph import upright_pixels
from ml.images.views import resize, standardise
from ml.networks.inference import look, seen_boxes
from ml.networks.network import load
from ml.serving.answering import Looks
from ml.serving.question import Region
from ml.spec import PrecisionName

BATCH: Final = 16
"""Photographs that go through the network at once, where it looks at one part of each."""

Views = npt.NDArray[np.uint8]
"""What the network sees of one photograph. Shape: parts x image size x image size x 3."""


class Classifier:
    """A network with its weights."""

    def __init__(self, artifacts: Mapping[str, str], *, device: Device | None = None) -> None:
        """Build the network of the artifacts `network` and `weights`, given by their paths.

        Args:
            artifacts: Paths by name.
            device: Where to compute, and in which precision; None: see `device_for`.

        Raises:
            KeyError: one of them is not among the artifacts.
            MlError: they are damaged, or do not belong together.
        """
        self.network = load(Path(artifacts["network"]), Path(artifacts["weights"]))
        self.device = device or device_for(self.network.spec.precision)
        # In the layout of evaluation: other kernels would round in other places.
        self.device.place(self.network).eval()

    def views(self, content: bytes, *, region: Region | None = None) -> Views:
        """What the network sees of a photograph: small, so that many are held where their pixels would not be.

        Args:
            content: The bytes of a file in one of `ml.images.photograph.FORMATS`.
            region: Where the organism is; the most magnified view then shows just that part (paper, section 3.1).

        Raises:
            PhotoError: the photograph cannot be decoded.
        """
        spec = self.network.spec
        return resize(upright_pixels(content), boxes=seen_boxes(spec, region=region), image_size=spec.image_size)

    def look(self, photographs: Sequence[Views]) -> Looks:
        """Probabilities and embeddings of photographs, all cut into the same number of parts, in their order.

        Memory is bounded: at most `BATCH` parts, or one photograph's, are on the device at a time.
        """
        spec = self.network.spec
        step = max(1, BATCH * len(spec.views) // len(photographs[0])) if photographs else 1
        found = []
        with torch.inference_mode():
            for begin in range(0, len(photographs), step):
                parts = torch.from_numpy(np.stack(photographs[begin : begin + step], axis=1)).transpose(0, 1)
                pixels = standardise(self.device.pixels(parts), spec.mean, spec.std)
                seen = look(self.network, pixels, device=self.device)
                found.append([numbers.cpu().numpy() for numbers in seen])
        if not found:
            head = self.network.head
            return Looks(np.empty((0, head.out_features)), np.empty((0, head.in_features), np.float32))
        probabilities, embeddings = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Looks(probabilities.astype(np.float64), embeddings)


def device_for(precision: PrecisionName) -> Device:
    """The first GPU, in the precision that a network was evaluated in; in full precision where there is no such GPU.

    A processor emulates short numbers slowly, and rounding less than the calibration did changes answers less than
    another photograph of the same organism does.
    """
    if not torch.cuda.is_available():
        return Device(device=torch.device("cpu"), rank=0, world=1, precision="fp32")
    emulated = precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False)
    return Device(device=torch.device("cuda", 0), rank=0, world=1, precision="fp32" if emulated else precision)
