"""Does a photograph show a species that the dataset does not have? How unlike all known ones it is, calibrated.

The distance is the cosine distance between the embedding of a photograph and the nearest class prototype, the mean of
the class's training embeddings (Snell et al. 2017), both centred and whitened by the spread within classes: directions
in which photographs of one species differ anyway count less (as in the Mahalanobis distance of Lee et al. 2018). It
was chosen by measurement, `python -m bench novelty`.

A distance means nothing by itself, so it is answered as two shares:

- `known`: the share of photographs of known species that look at least this unlike, a conformal p-value (Vovk et al.
  2005). An alarm at `known <= 0.05` is raised by at most 5 % of the photographs of known species, on average over
  calibrations, as long as photographs are like those that calibrated, one for each observation.
- `novel`: the share of photographs of unknown species that look at least this unlike: what such an alarm would find.
  Whole genera play the unknown: each calibration photograph is compared with the prototypes of all other genera.

No probability of being novel is stated: it would depend on how many of the photographs that will come show unknown
species, which nobody knows. The network itself has learnt the genera that are left out here, so `novel` is an estimate
on the hopeful side where the backbone was fine-tuned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ml.errors import DataError
from ml.evaluation.reliability import clopper_pearson
from ml.files import replacing
from ml.spec import RANKS
from ml.taxonomy import Integers, Taxonomy

SHRINKAGE = 0.1
"""Share of a sphere that the covariance is mixed with, so that it can be inverted; 0.02 to 0.3 rank alike."""
LEVELS = (0.01, 0.05, 0.1, 0.2)
"""Shares of known species' photographs at which an alarm is judged."""
GENUS = RANKS.index("genus") + 1
"""Depth of the taxa that are left out."""
BLOCK_CELLS = 4_000_000
"""Distances that are in memory at once."""

NOVELTY_FILE = "novelty.safetensors"

Singles = npt.NDArray[np.float32]


class Embeddings(Protocol):
    """N x F numbers in memory, or in a file."""

    def __getitem__(self, rows: npt.NDArray[np.intp], /) -> npt.NDArray[np.floating]:
        """Those of some photographs."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Prototypes:
    """P classes as directions in the whitened space of embeddings."""

    centre: Singles
    """Mean embedding of the training photographs. Shape F."""
    whitening: Singles
    """What a centred embedding is multiplied by. Shape F x F."""
    directions: npt.NDArray[np.float16]
    """Of length 1. Shape P x F."""
    classes: Integers
    """Their class ids, rising; a class without training photographs has no prototype. Shape P."""

    @classmethod
    def of(cls, *, means: Singles, photos: npt.NDArray[np.int64], covariance: Singles) -> Self:
        """Make them of what `ml.evaluation.class_means.ClassMeans` holds.

        Args:
            means: Of each class. Shape C x F.
            photos: How many photographs each mean is of; classes without any are left out. Shape C.
            covariance: Of embeddings within classes. Shape F x F.

        Raises:
            DataError: no class has a photograph, or a number is not finite.
        """
        classes = np.flatnonzero(photos).astype(np.int32)
        if not len(classes) or not (np.isfinite(means).all() and np.isfinite(covariance).all()):
            raise DataError("the class means hold no photograph, or numbers that are not finite; train again")
        centre = np.average(means[classes].astype(np.float64), axis=0, weights=photos[classes])
        size = len(centre)
        spread = float(np.trace(covariance)) / size
        # One photograph in each class scatters around nothing: then all directions count alike.
        shrunk = (1 - SHRINKAGE) * covariance.astype(np.float64) + (SHRINKAGE * spread or 1.0) * np.eye(size)
        whitening = np.linalg.cholesky(np.linalg.inv(shrunk))
        directions = _unit((means[classes] - centre) @ whitening)
        return cls(
            centre=centre.astype(np.float32),
            whitening=whitening.astype(np.float32),
            directions=directions.astype(np.float16),
            classes=classes,
        )

    @cached_property
    def _directions(self) -> Singles:
        """In the type of the products: to convert thousands takes longer than to compare a photograph with them."""
        return self.directions.astype(np.float32)

    def distances(self, embeddings: Singles, *, left_out: npt.NDArray[np.bool_] | None = None) -> Singles:
        """The cosine distance of each photograph to the nearest prototype, from 0 to 2.

        Args:
            embeddings: Shape N x F.
            left_out: Prototypes that a photograph is not compared with; one must be left. Shape N x P.
        """
        seen = _unit((embeddings - self.centre) @ self.whitening)
        cosines = seen @ self._directions.T
        if left_out is not None:
            cosines[left_out] = -np.inf
        nearest: Singles = 1 - cosines.max(axis=1)
        return nearest


@dataclass(frozen=True, eq=False, kw_only=True)
class Novelty:
    """The prototypes of a network with the distances that calibrate them."""

    prototypes: Prototypes
    known: Singles
    """Distances of photographs of known species, rising. Shape K."""
    left_out: Singles
    """Distances of the same photographs to the prototypes of all other genera, rising; none with one genus. Shape L."""

    def judge(self, embeddings: Singles) -> list[dict[str, float | None]]:
        """For each photograph its `distance`, and the shares `known` and `novel` that this module explains.

        Args:
            embeddings: Shape N x F.
        """
        distances = self.prototypes.distances(embeddings)
        shares = zip(distances.tolist(), self.p_values(distances).tolist(), self.found(distances), strict=True)
        return [{"distance": distance, "known": known, "novel": novel} for distance, known, novel in shares]

    def p_values(self, distances: Singles) -> npt.NDArray[np.float64]:
        """The share `known` of each distance, its own photograph counted among them, so never 0."""
        return np.asarray((1 + at_least(self.known, distances)) / (1 + len(self.known)))

    def found(self, distances: Singles) -> list[float | None]:
        """The share `novel` of each distance; None where there is but one genus."""
        if not len(self.left_out):
            return [None] * len(distances)
        shares: list[float | None] = (at_least(self.left_out, distances) / len(self.left_out)).tolist()
        return shares

    def write(self, path: Path) -> Path:
        """Write `novelty.safetensors` atomically and return `path`."""
        tensors: Mapping[str, npt.NDArray[np.generic]] = {
            **{part.name: getattr(self.prototypes, part.name) for part in fields(self.prototypes)},
            "known": self.known, "left_out": self.left_out,
        }  # fmt: skip
        with replacing(path) as partial:
            save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, partial)
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        try:
            tensors = load_file(path)
            known, left_out = tensors.pop("known"), tensors.pop("left_out")
            return cls(prototypes=Prototypes(**tensors), known=known, left_out=left_out)
        except (OSError, KeyError, TypeError, SafetensorError) as error:
            raise DataError(f"cannot read the novelty score {path}: {error}; calibrate again") from error


class NoveltyAlarm(NamedTuple):
    """What an alarm at one share of known species' photographs is worth, on photographs that did not calibrate it."""

    level: float
    """The alarm is raised where `known` is at most this."""
    false_alarms: float
    """Share of the photographs that raise it, all of known species."""
    low: float
    """Lower end of the 95 % Clopper-Pearson interval of `false_alarms`."""
    high: float
    found: float | None
    """Share of the same photographs that raise it when their genus is left out; None where there is but one genus."""


class NoveltyQuality(NamedTuple):
    """How well photographs of genera that are left out are told from those of known ones."""

    calibration_photos: int
    evaluation_photos: int
    auroc: float | None
    """Probability that a photograph whose genus is left out looks less like the others than one of a known genus."""
    alarms: tuple[NoveltyAlarm, ...]


def distances_of(
    embeddings: Embeddings, labels: Integers, prototypes: Prototypes, taxonomy: Taxonomy, *, rows: npt.NDArray[np.intp]
) -> tuple[Singles, Singles]:
    """Distances of photographs whose species are known, with and without their own genus among the prototypes.

    Args:
        embeddings: Read in blocks, from memory or from a file. Shape N x F.
        labels: Class ids. Shape N.
        prototypes: What they are compared with.
        taxonomy: Says which classes are of one genus.
        rows: Which photographs take part. Shape M.

    Returns:
        The distances to all prototypes (M), and to those of all other genera (M, or 0 where there is but one genus).
    """
    genera = taxonomy.ancestors[:, GENUS]
    theirs = genera[prototypes.classes]
    several = len(np.unique(theirs)) > 1
    known, left_out = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    step = max(1, BLOCK_CELLS // len(theirs))
    for begin in range(0, len(rows), step):
        here = rows[begin : begin + step]
        block = np.asarray(embeddings[here], dtype=np.float32)
        known.append(prototypes.distances(block))
        if several:
            own = genera[labels[here]][:, None] == theirs
            left_out.append(prototypes.distances(block, left_out=own))
    return np.concatenate(known), np.concatenate(left_out)


def calibrate_novelty(
    prototypes: Prototypes,
    *,
    calibration: tuple[Singles, Singles],
    evaluation: tuple[Singles, Singles],
) -> tuple[Novelty, NoveltyQuality]:
    """The score as it is served, and what it is worth on photographs that did not calibrate it.

    Args:
        prototypes: Of the training photographs.
        calibration: `distances_of` the calibration half, one photograph of each observation.
        evaluation: `distances_of` the evaluation half, one photograph of each observation.
    """
    novelty = Novelty(prototypes=prototypes, known=np.sort(calibration[0]), left_out=np.sort(calibration[1]))
    known, left_out = (novelty.p_values(distances) for distances in evaluation)
    quality = NoveltyQuality(
        calibration_photos=len(calibration[0]),
        evaluation_photos=len(evaluation[0]),
        auroc=auroc(evaluation[0], evaluation[1]) if len(evaluation[1]) else None,
        alarms=tuple(_alarm(level, known=known, left_out=left_out) for level in LEVELS),
    )
    return novelty, quality


def auroc(known: npt.NDArray[np.floating], novel: npt.NDArray[np.floating]) -> float:
    """The probability that a novel photograph has a greater score than a known one; ties count half."""
    ordered = np.sort(known)
    below = np.searchsorted(ordered, novel, side="left") + np.searchsorted(ordered, novel, side="right")
    return float(below.mean() / (2 * len(known)))


def at_least(ordered: npt.NDArray[np.floating], values: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """How many entries of `ordered`, which rises, are at least as great as each of `values`."""
    return len(ordered) - np.searchsorted(ordered, values, side="left")


def _alarm(level: float, *, known: npt.NDArray[np.float64], left_out: npt.NDArray[np.float64]) -> NoveltyAlarm:
    raised = int((known <= level).sum())
    low, high = clopper_pearson(raised, len(known))
    return NoveltyAlarm(
        level=level,
        false_alarms=raised / len(known),
        low=low,
        high=high,
        found=float((left_out <= level).mean()) if len(left_out) else None,
    )


def _unit(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny))
