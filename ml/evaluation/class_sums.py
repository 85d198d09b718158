"""Sums of embeddings by class, taken batch by batch while a network looks at photographs."""

import torch
from torch import Tensor

from ml.devices import Device
from ml.errors import DataError
from ml.evaluation.class_means import ClassMeans


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
        double = torch.float64
        sums = torch.zeros(self._classes, features, dtype=double) if self._sums is None else self._sums
        products = torch.zeros(features, features, dtype=double) if self._products is None else self._products
        self._sums, self._products, self._photos = (
            device.add_up(numbers.to(device.device)).cpu() for numbers in (sums, products, self._photos)
        )

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
