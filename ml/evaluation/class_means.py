"""Where the classes of a network lie in the space of its embeddings: means and spread of training photographs.

An embedding is what the head of a network sees: the pooled features of a photograph. What is made of the means is in
`ml.specificity.novelty`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

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
