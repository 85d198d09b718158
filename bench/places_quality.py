"""What the prior is worth on real photographs: parameters chosen on one half, judged on the other, both ways.

The photographs are 660 of 44 Californian plants with the logits of a ResNet50, from `../shared/data/places`.
"""

import csv
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.neural_network import MLPClassifier

from bench.harness import PHOTOS, Goal, UnavailableError
from ml.places.choice import STEPS, choose
from ml.places.composition import compose
from ml.places.look import PriorLook
from ml.places.prior import PlacePrior, PriorSettings
from ml.places.records import Records, condensed
from ml.places.sites import YEAR, Sites
from ml.taxonomy import Floats

FOLDER: Final = PHOTOS.parent / "places"
DIVISIONS: Final = 20
RESAMPLINGS: Final = 2_000
BEYOND_KM: Final = (0.0, 5.0, 20.0, 50.0)
_SMALLEST: Final = 2.0**-25

Indices = npt.NDArray[np.intp]
Contestant = Callable[[Indices], Floats]
"""Composed probabilities of all photographs, with what was chosen on some of them."""


class Judged(NamedTuple):
    """Means over the divisions, photograph by photograph."""

    right: Floats
    loss: Floats


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Plants:
    """The folder's content."""

    prior: PlacePrior
    sites: Sites
    probabilities: Floats
    labels: Indices

    @classmethod
    def read(cls) -> "Plants":
        """Read the folder.

        Raises:
            UnavailableError: it is not there.
        """
        if not FOLDER.is_dir():
            raise UnavailableError(f"the plants with places are not at {FOLDER}")
        classes = (FOLDER / "classes.txt").read_text(encoding="utf-8").split("\n")
        species = {name: number for number, name in enumerate(name for name in classes if name)}
        rows = _rows("occurrences.csv")
        training = [row for row in rows if row["side"] == "train"]
        by_key = {row["gbif_id"]: row for row in rows}
        photographs = [by_key[row["gbif_id"]] for row in _rows("validation.csv")]
        logits = np.load(FOLDER / "validation_logits.npy").astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        records = Records(
            latitude=_column(training, "latitude").astype(np.float32),
            longitude=_column(training, "longitude").astype(np.float32),
            uncertainty_m=np.full(len(training), np.nan, np.float32),
            day=_column(training, "day_of_year").astype(np.uint16),
            class_id=np.array([species[row["species"]] for row in training], np.int32),
        )
        sites = Sites(
            _column(photographs, "latitude"),
            _column(photographs, "longitude"),
            np.full(len(photographs), np.nan),
            _column(photographs, "day_of_year"),
        )
        return cls(
            prior=PlacePrior(records=records, class_count=len(species), settings=PriorSettings()),
            sites=sites,
            probabilities=powers / powers.sum(axis=1, keepdims=True),
            labels=np.array([species[row["species"]] for row in photographs], np.intp),
        )


def measured() -> tuple[list[Mapping[str, object]], list[Goal]]:
    """The table of contestants and the goals.

    Raises:
        UnavailableError: the photographs are not there.
    """
    plants = Plants.read()
    alone = judged(plants, lambda _: plants.probabilities)
    with_date = _Chooser(plants, plants.sites)
    contestants: dict[str, Contestant] = {
        "a grid of 1 degree, 3 x 3 cells": _grid(plants),
        "a trained network of place and date": _network(plants),
        "place": _Chooser(plants, plants.sites.without_days()).contestant(),
        "place and date, nothing chosen but the temperature": lambda _: compose(
            plants.probabilities, plants.prior.look(plants.sites), exponent=1.0
        ),
        "place and date": with_date.contestant(),
    }
    for beyond in BEYOND_KM[1:]:
        contestants[f"place and date, nothing within {beyond:.0f} km"] = with_date.contestant(beyond_km=beyond)
    for most in (1_500, 750):
        merged = condensed(plants.prior.records, most=most)
        fewer = dataclasses.replace(plants, prior=dataclasses.replace(plants.prior, records=merged))
        contestants[f"place and date, merged by cells to {len(merged.day):,} rows"] = _Chooser(
            fewer, plants.sites
        ).contestant()
    rows: list[Mapping[str, object]] = [_row("photograph alone", alone, None)]
    results = {}
    for name, contestant in contestants.items():
        results[name] = judged(plants, contestant)
        rows.append(_row(name, results[name], alone))
        print(rows[-1], flush=True)
    best = results["place and date"]
    goals = [
        Goal(
            name="top-1 with place and date above the photograph alone, points",
            value=float(100 * (best.right - alone.right).mean()),
            bound=4,
            kind="at least",
        ),
        Goal(
            name="log-loss with place and date below the photograph alone, nats",
            value=float((alone.loss - best.loss).mean()),
            bound=0.25,
            kind="at least",
        ),
    ]
    return rows, goals


def judged(plants: Plants, contestant: Contestant) -> Judged:
    """Every photograph, by what was chosen on the halves without it, temperature included."""
    total = len(plants.labels)
    right, loss = np.zeros(total), np.zeros(total)
    for seed in range(DIVISIONS):
        order = np.random.default_rng(seed).permutation(total)
        for part, other in ((order[: total // 2], order[total // 2 :]), (order[total // 2 :], order[: total // 2])):
            composed = contestant(part)
            temperature = _temperature(composed[part], plants.labels[part])
            right[other] += composed[other].argmax(axis=1) == plants.labels[other]
            loss[other] += _losses(composed[other], plants.labels[other], temperature)
    return Judged(right / DIVISIONS, loss / DIVISIONS)


def interval(gains: Floats) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean of paired gains."""
    draws = np.random.default_rng(0).integers(0, len(gains), (RESAMPLINGS, len(gains)))
    low, high = np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


class _Chooser:
    """Settings chosen on some photographs, and what they say of all; each is computed once."""

    def __init__(self, plants: Plants, sites: Sites) -> None:
        self._plants, self._sites = plants, sites
        self._settings: dict[bytes, PriorSettings] = {}
        self._looks: dict[tuple[PriorSettings, float], PriorLook] = {}

    def contestant(self, *, beyond_km: float = 0.0) -> Contestant:
        """Composed with these settings, without the neighbours within a distance."""

        def composed(part: Indices) -> Floats:
            settings = self._chosen(part)
            look = self._look(settings.model_copy(update={"exponent": 1.0}), beyond_km)
            return compose(self._plants.probabilities, look, exponent=settings.exponent)

        return composed

    def _chosen(self, part: Indices) -> PriorSettings:
        key = part.tobytes()
        if key not in self._settings:
            plants = self._plants
            self._settings[key] = choose(
                plants.prior, self._sites.rows(part), plants.probabilities[part], plants.labels[part]
            )
        return self._settings[key]

    def _look(self, settings: PriorSettings, beyond_km: float) -> PriorLook:
        key = settings, beyond_km
        if key not in self._looks:
            self._looks[key] = self._plants.prior.with_settings(settings).look(self._sites, beyond_km=beyond_km)
        return self._looks[key]


def _grid(plants: Plants) -> Contestant:
    """Counts in the cell of a photograph and the eight around it, with a floor and an exponent chosen alike."""
    records, sites = plants.prior.records, plants.sites
    row, column = np.floor(records.latitude), np.floor(records.longitude)
    counts = np.zeros((len(plants.labels), plants.prior.class_count))
    for photograph in range(len(counts)):
        near = np.abs(row - np.floor(sites.latitude[photograph])) <= 1
        near &= np.abs(column - np.floor(sites.longitude[photograph])) <= 1
        counts[photograph] = np.bincount(records.class_id[near], records.counts[near], plants.prior.class_count)

    return _best([counts + floor for floor in STEPS["floor"]], plants)


def _network(plants: Plants) -> Contestant:
    """Trained networks of place and day, composed alike; which one counts is chosen alike, with an exponent."""
    records, sites = plants.prior.records, plants.sites
    features, asked = (
        np.column_stack(
            [columns[0], columns[1], np.sin(columns[2] / YEAR * 2 * np.pi), np.cos(columns[2] / YEAR * 2 * np.pi)]
        )
        for columns in (
            (records.latitude, records.longitude, records.day),
            (sites.latitude, sites.longitude, sites.day),
        )
    )
    middle, scale = features.mean(axis=0), features.std(axis=0)
    repeated = np.repeat(np.arange(len(features)), records.counts)
    said = []
    for layers, alpha in itertools.product(((64,), (256,), (256, 256)), (1e-4, 1e-2, 1.0)):
        network = MLPClassifier(
            layers, alpha=alpha, early_stopping=True, n_iter_no_change=20, max_iter=500, random_state=0
        )
        network.fit((features[repeated] - middle) / scale, records.class_id[repeated])
        said.append(np.maximum(network.predict_proba((asked - middle) / scale), 1e-4))
    return _best(said, plants)


def _best(shares: Sequence[Floats], plants: Plants) -> Contestant:
    """Composed with that of the shares, and with that power of it, at which the choosing half is told best."""
    mixtures = []
    for one, exponent in itertools.product(shares, (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)):
        mixed = plants.probabilities * one**exponent
        mixtures.append(mixed / mixed.sum(axis=1, keepdims=True))

    def composed(part: Indices) -> Floats:
        def loss(mixed: Floats) -> float:
            temperature = _temperature(mixed[part], plants.labels[part])
            return float(_losses(mixed[part], plants.labels[part], temperature).mean())

        return min(mixtures, key=loss)

    return composed


def _temperature(probabilities: Floats, labels: Indices) -> float:
    found = minimize_scalar(
        lambda log: _losses(probabilities, labels, float(np.exp(log))).mean(), bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))


def _losses(probabilities: Floats, labels: Indices, temperature: float) -> Floats:
    logits = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    highest = logits.max(axis=1)
    normaliser = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
    return np.asarray(normaliser - logits[np.arange(len(labels)), labels])


def _row(name: str, result: Judged, alone: Judged | None) -> Mapping[str, object]:
    row: dict[str, object] = {
        "what is known": name,
        "top-1, %": f"{100 * result.right.mean():.1f}",
        "log-loss": f"{result.loss.mean():.3f}",
    }
    if alone is not None:
        gain, less = 100 * (result.right - alone.right), result.loss - alone.loss
        row["top-1 gained [95 %]"] = f"{gain.mean():+.1f} [{interval(gain)[0]:+.1f}, {interval(gain)[1]:+.1f}]"
        row["log-loss [95 %]"] = f"{less.mean():+.3f} [{interval(less)[0]:+.3f}, {interval(less)[1]:+.3f}]"
    return row


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _column(rows: Sequence[Mapping[str, str]], name: str) -> Floats:
    return np.array([float(row[name]) for row in rows])
