"""How good a network is while it is trained, on photographs that may be looked at for that.

These are of the half of the validation side that thresholds are later chosen on, `calibration`; the half that judges
the finished network is never looked at.
"""

import threading
from typing import Final, NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ml.devices import Device
from ml.errors import InterruptedTrainingError
from ml.images.loader import Loader
from ml.images.pack import Photos
from ml.networks.embeddings import Embeddings
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network

HALF: Final = "calibration"
SHARE, LEAST, MOST = 0.1, 500, 20_000
"""So many photographs are looked at: a share of the training side, which costs about three percent of an epoch (a step
takes three times as long as a pass), between two bounds."""
BATCH = 64


class Quality(NamedTuple):
    """The answers to photographs whose labels are known."""

    loss: float
    """Mean cross entropy; no smoothing of labels, no weights."""
    accuracy: float
    """Share whose most probable class is right."""


class Validation:
    """Photographs to look at during training."""

    def __init__(self, photos: Photos, *, train_photos: int, seed: int) -> None:
        """Choose from the `calibration` half.

        Args:
            photos: All of the validation side, labelled by the network's classes.
            train_photos: Number of training photographs.
            seed: Draws where there are more than are looked at.
        """
        self.photos = photos
        positions = np.flatnonzero(np.array([half == HALF for half in photos.halves]))
        most = min(MOST, max(LEAST, round(SHARE * train_photos)))
        if len(positions) > most:
            positions = np.sort(np.random.default_rng(seed).choice(positions, most, replace=False))
        self.positions = positions
        """In `photos`; none where the validation side has no such half."""

    @torch.no_grad()
    def measure(
        self, network: Network, *, loader: Loader | FrozenLayers | Embeddings, device: Device, stop: threading.Event
    ) -> Quality:
        """Look at the photographs in evaluation mode, in which `network` stays; each process looks at its share.

        Photographs that cannot be read are left out.

        Raises:
            InterruptedTrainingError: `stop` was set. Of several processes none ends here: the others would wait for it.
        """
        network.eval()
        mine = self.positions[device.rank :: device.world]
        sums = torch.zeros(3, dtype=torch.float64, device=device.device)
        for batch in loader.batches(self.photos, groups=[mine[at : at + BATCH] for at in range(0, len(mine), BATCH)]):
            if stop.is_set() and device.world == 1:
                raise InterruptedTrainingError("interrupted during validation; run again to go on from the checkpoint")
            if not len(batch.positions):
                continue
            inputs, labels = loader.inputs(batch.pixels, positions=batch.positions), device.send(batch.labels)
            with device.autocast():
                logits = network(inputs)
            logits = logits.float()
            sums[0] += cross_entropy(logits, labels, reduction="sum")
            sums[1] += (logits.argmax(1) == labels).sum()
            sums[2] += len(labels)
        loss, right, count = device.add_up(sums).tolist()
        return Quality(loss=loss / max(1, count), accuracy=right / max(1, count))
