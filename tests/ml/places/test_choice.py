"""Parameters are chosen by the log-loss of what is composed, and only for a gain beyond chance."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ml.errors import DataError
from ml.places.choice import LEAST_ROWS, choose
from ml.places.composition import compose
from ml.places.prior import PlacePrior, PriorSettings
from ml.places.records import Records
from ml.places.sites import Sites
from ml.places.trials import Fit, Trials
from tests.ml.places.drawing import drawn, near, occurrences, prior_of

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]


def _world(photographs: int, *, seed: int = 0) -> tuple[PlacePrior, Sites, Floats, Labels]:
    """Four species on a line of places, of two look-alikes each; the network tells pairs, not the look-alikes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, 600 + photographs)
    latitude, longitude = generator.normal(0, 0.5, len(labels)), labels % 2 * 3 + generator.normal(0, 1, len(labels))
    rows = zip(latitude[:600], longitude[:600], [0] * 600, labels[:600].tolist(), strict=True)
    logits = np.where(np.arange(4) // 2 == labels[600:, None] // 2, 3.0, 0.0) + generator.normal(0, 1, (photographs, 4))
    powers = np.exp(logits)
    sites = Sites(latitude[600:], longitude[600:], *np.full((2, photographs), np.nan))
    return prior_of(occurrences(*rows), species=4), sites, powers / powers.sum(axis=1, keepdims=True), labels[600:]


def _loss(probabilities: Floats, labels: Labels) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_what_was_chosen_helps_on_photographs_that_chose_nothing() -> None:
    prior, sites, probabilities, labels = _world(800)
    chosen = choose(prior, sites.rows(slice(400)), probabilities[:400], labels[:400])
    assert chosen.exponent > 0
    composed = compose(probabilities, prior.with_settings(chosen).look(sites), exponent=chosen.exponent)
    assert _loss(composed[400:], labels[400:]) < _loss(probabilities[400:], labels[400:]) - 0.2
    assert chosen == choose(prior, sites.rows(slice(400)), probabilities[:400], labels[:400])


def test_places_that_say_nothing_get_an_exponent_of_zero() -> None:
    prior, sites, probabilities, labels = _world(300)
    shuffled = sites.rows(np.random.default_rng(1).permutation(300))
    assert choose(prior, shuffled, probabilities, labels).exponent == 0


def test_too_few_photographs_with_a_place_choose_nothing() -> None:
    prior, sites, probabilities, labels = _world(300)
    own = prior.with_settings(PriorSettings(neighbours=7, exponent=0.6))
    sites.latitude[LEAST_ROWS - 1 :] = np.nan
    assert choose(own, sites, probabilities, labels) == own.settings
    far = sites._replace(latitude=np.full(300, 80.0))
    assert choose(own, far, probabilities, labels) == own.settings
    assert choose(prior_of(occurrences(), species=4), sites, probabilities, labels) == PriorSettings()


def test_arguments_of_different_sizes_are_refused() -> None:
    prior, sites, probabilities, labels = _world(10)
    with pytest.raises(DataError, match="10 places for 9 photographs with 10 labels"):
        choose(prior, sites, probabilities[:9], labels)
    with pytest.raises(DataError, match="probabilities of 3 species for a prior of 4"):
        choose(prior, sites, probabilities[:, :3], labels)


@pytest.mark.parametrize("settings", [PriorSettings(), PriorSettings(neighbours=25, floor=1, base_rate=1, width=0.25)])
def test_a_trial_has_the_loss_of_what_is_composed(settings: PriorSettings) -> None:
    records = drawn(11, rows=100)
    # Species 0 has no place, and is the true one of some photographs.
    prior = prior_of(records._replace(class_id=np.maximum(records.class_id, 1)))
    sites, generator = near(records, 5, number=60), np.random.default_rng(5)
    probabilities, labels = generator.dirichlet(np.ones(6), 60), generator.integers(0, 6, 60)
    trials = Trials.of(prior, sites, probabilities, labels, most=800)
    trial = trials.of_settings(settings, Fit(np.inf, 1.0, 0.5))
    composed = compose(
        probabilities, prior.with_settings(settings).look(sites), exponent=trial.fit.power / trial.fit.sharpness
    )
    tempered = composed**trial.fit.sharpness
    tempered /= tempered.sum(axis=1, keepdims=True)
    assert trial.losses.tolist() == pytest.approx((-np.log(tempered[np.arange(60), labels])).tolist(), abs=1e-4)
    assert trial.fit.loss == pytest.approx(trial.losses.mean(), abs=1e-4)
    # No other power is better at this sharpness.
    for power in (trial.fit.power * 0.8, trial.fit.power * 1.2 + 0.01):
        other = probabilities**trial.fit.sharpness * prior.with_settings(settings).look(sites).shares(6) ** power
        other /= other.sum(axis=1, keepdims=True)
        assert _loss(other, labels) >= trial.fit.loss - 1e-6


def test_real_plants_gain_four_points_and_a_quarter_nat_on_the_other_half(shared: Path) -> None:
    prior, sites, probabilities, labels = _plants(shared / "places")
    order = np.random.default_rng(2026).permutation(len(labels))
    points, nats = [], []
    for part, other in ((order[:330], order[330:]), (order[330:], order[:330])):
        chosen = choose(prior, sites.rows(part), probabilities[part], labels[part])
        composed = compose(probabilities, prior.with_settings(chosen).look(sites), exponent=chosen.exponent)
        right = [(values[other].argmax(axis=1) == labels[other]).mean() for values in (composed, probabilities)]
        points.append(100 * (right[0] - right[1]))
        alone, with_place = (_best_loss(values, labels, part, other) for values in (probabilities, composed))
        nats.append(alone - with_place)
    assert np.mean(points) > 4
    assert np.mean(nats) > 0.25


def _best_loss(probabilities: Floats, labels: Labels, part: Labels, other: Labels) -> float:
    def loss(rows: Labels, sharpness: float) -> float:
        powers = np.maximum(probabilities[rows], 2.0**-25) ** sharpness
        return _loss(powers / powers.sum(axis=1, keepdims=True), labels[rows])

    return loss(other, min(np.geomspace(0.2, 3, 40), key=lambda sharpness: loss(part, sharpness)))


def _plants(folder: Path) -> tuple[PlacePrior, Sites, Floats, Labels]:
    def rows(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def places(of: list[dict[str, str]]) -> Floats:
        return np.array([[float(row[name]) for name in ("latitude", "longitude", "day_of_year")] for row in of]).T

    species = {name: number for number, name in enumerate((folder / "classes.txt").read_text("utf-8").split("\n"))}
    occurrences_ = rows("occurrences.csv")
    training = [row for row in occurrences_ if row["side"] == "train"]
    by_key = {row["gbif_id"]: row for row in occurrences_}
    photographs = [by_key[row["gbif_id"]] for row in rows("validation.csv")]
    latitude, longitude, day = places(training)
    unknown = np.full(len(training), np.nan, np.float32)
    records = Records(
        latitude.astype(np.float32), longitude.astype(np.float32), unknown, day.astype(np.uint16),
        np.array([species[row["species"]] for row in training], np.int32),
    )  # fmt: skip
    latitude, longitude, day = places(photographs)
    powers = np.exp(np.load(folder / "validation_logits.npy").astype(np.float64))
    return (
        prior_of(records, species=powers.shape[1]),
        Sites(latitude, longitude, np.full(len(day), np.nan), day),
        powers / powers.sum(axis=1, keepdims=True),
        np.array([species[row["species"]] for row in photographs], np.intp),
    )
