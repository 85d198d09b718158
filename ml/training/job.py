"""One training as data: what it works on, which photographs come when, and how they are changed at random."""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.child.pipes import Reporter
from ml.devices import Device
from ml.images.augmentation import RandomChanges
from ml.images.loader import Loader
from ml.images.pack import Photos
from ml.networks.embeddings import Embeddings
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network
from ml.spec import TrainSpec
from ml.taxonomy import Taxonomy
from ml.training import sampling
from ml.training.recipes import Recipe
from ml.training.validation import Validation

if TYPE_CHECKING:
    from ml.child.tracking import ChildRun

CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints, at least; see `ml.training.checkpoints.Writer`."""


@dataclass(kw_only=True)
class Job:
    """One training: what it works on, and the order in which photographs come."""

    spec: TrainSpec
    recipe: Recipe
    network: Network
    photos: Photos
    """The training side, labelled by the network's classes."""
    loader: Loader | FrozenLayers | Embeddings
    """Gives photographs as the network takes them, features of its frozen layers, or embeddings."""
    device: Device
    reporter: Reporter
    stop: threading.Event
    """Set to end after the running step (of several processes: after the next), with a checkpoint."""
    tracked: "ChildRun | None" = None
    """The run that each epoch is logged to."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    taxonomy: Taxonomy | None = None
    """The tree of the classes; needed for a hierarchical loss only."""
    validation: Validation | None = None
    """What is looked at after each epoch."""

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of one pass; a side smaller than a batch is one batch."""
        return max(1, len(self.photos) // self.recipe.batch)

    @property
    def steps(self) -> int:
        """Steps of the whole recipe; none when it only fits the head."""
        return max(1, round(self.recipe.epochs * self.steps_per_epoch)) if self.recipe.segments else 0

    def shown(self, epoch: int) -> Photos:
        """What the positions of `groups` point to: the training side, or what is drawn from it for this epoch.

        A photograph that is drawn several times is there as often: each time it is cropped and coloured anew.
        """
        return sampling.drawn(self.photos, self.recipe, seed=self.spec.seed, epoch=epoch)[0]

    def groups(self, epoch: int) -> list[NDArray[np.intp]]:
        """Positions of each batch of an epoch in what is `shown`, over all processes."""
        order = sampling.drawn(self.photos, self.recipe, seed=self.spec.seed, epoch=epoch)[1]
        batch = self.recipe.batch
        return [order[step * batch : (step + 1) * batch] for step in range(self.steps_per_epoch)]

    def changes(self, epoch: int) -> RandomChanges:
        """The random changes of an epoch's photographs."""
        return RandomChanges(self.recipe.augmentation, seed=self.spec.seed, stage=self.recipe.stage, epoch=epoch)

    def share(self, group: NDArray[np.intp], *, rank: int) -> NDArray[np.intp]:
        """The part of a batch that the process `rank` computes."""
        return group[rank :: self.device.world]
