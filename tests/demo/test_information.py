"""How much places and days of the drawn organisms say about their species, by the prior that learns from them."""

from datetime import date
from typing import NamedTuple

import numpy as np
import pytest

from demo.gbif.dates import first_day
from demo.lineage import share
from demo.organisms.source import RenderedSource
from demo.records import Occurrence
from ml.places.prior import PlacePrior, PriorSettings, Records
from ml.places.sites import Sites
from ml.taxonomy import Floats


class World(NamedTuple):
    """Observations with a place, in two parts: to learn from, and to ask about."""

    prior: PlacePrior
    sites: Sites
    labels: np.typing.NDArray[np.int_]
    base: Floats


def _row(one: Occurrence) -> tuple[float, ...]:
    day = first_day(one.event_date)
    number = date.fromisoformat(day).timetuple().tm_yday if day and "/" not in one.event_date else np.nan
    uncertainty = np.nan if one.uncertainty_m is None else one.uncertainty_m
    return (one.latitude or np.nan, one.longitude or np.nan, uncertainty, number)


@pytest.fixture(scope="module")
def world() -> World:
    """Seven of ten observations to learn from."""
    placed = [one for one in RenderedSource(release=1).occurrences() if one.latitude and "species" in one.taxon.lineage]
    species = sorted({one.taxon.lineage["species"].key for one in placed})
    labels = np.array([species.index(one.taxon.lineage["species"].key) for one in placed])
    sites = Sites(*np.array([_row(one) for one in placed]).T)
    learnt = np.array([share("side", one.gbif_id) < 0.7 for one in placed])
    known, asked = sites.rows(learnt), sites.rows(~learnt)
    records = Records(
        latitude=known.latitude.astype(np.float32),
        longitude=known.longitude.astype(np.float32),
        uncertainty_m=known.uncertainty_m.astype(np.float32),
        day=np.nan_to_num(known.day).astype(np.uint16),
        class_id=labels[learnt].astype(np.int32),
    )
    counts = np.bincount(labels[learnt], minlength=len(species)) + 0.5
    prior = PlacePrior(records=records, class_count=len(species), settings=PriorSettings())
    return World(prior, asked, labels[~learnt], counts / counts.sum())


def _bits(world: World, sites: Sites) -> float:
    """Information about the species beyond how often it is recorded: a lower bound of the mutual information."""
    shares = world.prior.look(sites).shares(len(world.base))
    told = shares[np.arange(len(world.labels)), world.labels]
    return float(np.log2(told / world.base[world.labels]).mean())


def test_a_place_tells_much_of_the_species_and_a_place_with_a_day_more(world: World) -> None:
    place, both = _bits(world, world.sites.without_days()), _bits(world, world.sites)
    assert place > 0.4
    assert both > place + 0.3


def test_places_of_other_observations_tell_nothing(world: World) -> None:
    shuffled = world.sites.rows(np.random.default_rng(0).permutation(len(world.labels)))
    assert _bits(world, shuffled.without_days()) < 0.05
    assert _bits(world, shuffled) < 0.05
