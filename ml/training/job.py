"""What one training works on, and the order in which it sees the photographs. Nothing is computed here."""

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.child.pipes import Reporter
from ml.devices import Device
from ml.images import loader as data
from ml.images.loader import Pack, Photos
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network
from ml.training.recipes import Recipe

CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints; another is written at the end of each epoch."""


@dataclass(kw_only=True)
class Job:
    """What one training works on. The same values give the same weights."""

    network: Network
    recipe: Recipe
    pack: Pack
    photos: Photos
    folder: Path
    """Where checkpoints go."""
    spec_hash: str
    seed: int
    workers: int
    device: Device
    reporter: Reporter
    transferred: bool = False
    """Whether the network's head holds what a stage of a higher rank has learnt."""
    accumulate: int = 1
    """Parts that each process computes its share of a batch in; see `ml.training.steps`."""
    compile: bool = False
    """Whether the network and its loss are compiled."""
    sync_batch_norm: bool = False
    """Whether batch norms use the statistics of all GPUs' shares of a batch."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set to end after the running step (of several processes: after the next), with a checkpoint."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    frozen: FrozenLayers | None = None
    """Gives features of frozen layers in the place of pixels."""
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None
    """Told each new row of the history (on the first rank)."""

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of one pass; a side smaller than a batch is one batch."""
        return max(1, len(self.photos) // self.recipe.batch)

    @property
    def steps(self) -> int:
        """Steps of the whole recipe; none when it only fits the head."""
        return max(1, round(self.recipe.epochs * self.steps_per_epoch)) if self.recipe.segments else 0

    def groups(self, epoch: int) -> list[NDArray[np.intp]]:
        """Positions of each batch of an epoch, over all processes."""
        order = data.epoch_order(len(self.photos), seed=self.seed, epoch=epoch)
        return [order[begin : begin + self.recipe.batch] for begin in range(0, len(order), self.recipe.batch)][
            : self.steps_per_epoch
        ]

    def share(self, group: NDArray[np.intp], *, rank: int) -> NDArray[np.intp]:
        """The part of a batch that the process `rank` computes."""
        return group[rank :: self.device.world]


def seed_of(*parts: int) -> int:
    """A generator's seed from several numbers."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1
