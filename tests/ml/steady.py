"""A recipe that repeats itself in parts, and the processor as a device: what tests of single steps share."""

import torch

from ml.devices import Device
from ml.images.augmentation import Augmentation
from ml.training.recipes import Recipe, Segment

STEADY = Recipe(
    name="steady", batch=6, optimiser="tf_adam", eps=1.0, weight_decay=4e-5, dropout=0.0, batch_norm_momentum=0.1,
    batch_norm_eps=None, batch_norm_frozen=True, probe=None, augmentation=Augmentation(),
    segments=(Segment(epochs=2, rate=1.0),),
)  # fmt: skip
"""Gives the same weights up to rounding however batches are divided: nothing depends on a photograph's neighbours, and
an epsilon of one keeps Adam from making small differences large."""

PROCESSOR = Device(device=torch.device("cpu"), rank=0, world=1)
