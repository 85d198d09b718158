"""Where the classes of a network lie in the space of its embeddings: means and spread of training photographs.

An embedding is what the head of a network sees: the pooled features of a photograph. What is made of the means is in
`ml.specificity.novelty`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from ml.devices import Device
from ml.errors import DataError
from ml.files import replacing


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassMeans:
    """Means of the embeddings of C classes, and how the photographs of one class scatter around its mean."""

    means: npt.NDArray[np.float32]
    """Zeros where a class has no photograph. Shape C x F."""
    photos: npt.NDArray[np.int64]
    """How many photographs each mean is of. Shape C."""
    covariance: npt.NDArray[np.float32]
    """Within classes, pooled over all of them. Shape F x F."""

    def write(self, path: Path) -> Path:
        """Write `prototypes.safetensors` atomically and return `path`."""
        with replacing(path) as partial:
            save_file({"means": self.means, "photos": self.photos, "covariance": self.covariance}, partial)
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        try:
            tensors = load_file(path)
            return cls(means=tensors["means"], photos=tensors["photos"], covariance=tensors["covariance"])
        except (OSError, KeyError, SafetensorError) as error:
            raise DataError(f"cannot read the class means {path}: {error}; train again") from error


class ClassSums:
    """Adds up embeddings as they come; holds C x F and F x F numbers, however many photographs there are."""

    def __init__(self, classes: int) -> None:
        """Start with nothing.

        Args:
            classes: C.
        """
        self._classes = classes
        self._sums: Tensor | None = None
        self._products: Tensor | None = None
        self._photos = torch.zeros(classes, dtype=torch.int64)

    def add(self, embeddings: Tensor, labels: Tensor) -> None:
        """Take N embeddings, on the processor.

        Args:
            embeddings: Shape N x F.
            labels: Class ids. Shape N.
        """
        self.add_products(embeddings)
        self.add_means(embeddings, labels)

    def add_products(self, embeddings: Tensor) -> None:
        """Take N embeddings for the covariance, on the device where they are and without waiting for it.

        Args:
            embeddings: Shape N x F.
        """
        # In double precision: the covariance is the small difference of large sums.
        numbers = embeddings.double()
        if self._products is None:
            self._products = torch.zeros(numbers.shape[1], numbers.shape[1], dtype=numbers.dtype, device=numbers.device)
        self._products += numbers.T @ numbers

    def add_means(self, embeddings: Tensor, labels: Tensor) -> None:
        """Take the same N embeddings for the means, on the processor.

        There the order of additions, and so the last bit, is always the same.

        Args:
            embeddings: Shape N x F.
            labels: Class ids. Shape N.
        """
        if self._sums is None:
            self._sums = torch.zeros(self._classes, embeddings.shape[1], dtype=torch.float64)
        self._sums.index_add_(0, labels, embeddings.double())
        self._photos += torch.bincount(labels, minlength=self._classes)

    def add_up(self, device: Device, *, features: int) -> None:
        """Add up what all processes took; each must call this, also one that took nothing.

        Args:
            device: This process's.
            features: F.
        """
        if device.world == 1:
            return
        shapes = {"_sums": (self._classes, features), "_products": (features, features)}
        for name, shape in shapes.items():
            own: Tensor | None = getattr(self, name)
            numbers = torch.zeros(shape, dtype=torch.float64) if own is None else own
            setattr(self, name, device.add_up(numbers.to(device.device)).cpu())
        self._photos = device.add_up(self._photos.to(device.device)).cpu()

    def means(self) -> ClassMeans:
        """The means of what was added.

        Raises:
            DataError: nothing was added.
        """
        if self._sums is None or self._products is None or not self._photos.any():
            raise DataError("there are no embeddings to take means of")
        means = self._sums / self._photos.clamp(min=1)[:, None]
        within = (self._products.cpu() - means.T @ self._sums) / self._photos.sum()
        return ClassMeans(means=means.float().numpy(), photos=self._photos.numpy(), covariance=within.float().numpy())
