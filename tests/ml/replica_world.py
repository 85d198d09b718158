"""Observations by the law of the replica's organisms, with a network that cannot tell look-alikes apart, calibrated.

Places and days are drawn as the replica draws them; only the distributions of the network are made up. What follows
is the real calibration, from files to files, and the answers of the version that it makes.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from demo.lineage import share
from demo.organisms.look_alikes import APART_IN_PLACE, APART_IN_SEASON, habits_in_list
from demo.organisms.source import Kind, observations_of, read_kinds
from demo.records import RANKS, Occurrence
from ml.child.pipes import Reporter
from ml.places.reading import day_of
from ml.places.sites import Sites
from ml.serving.answering import Answering
from ml.spec import CalibrateResult, CalibrateSpec
from ml.specificity.stage import run
from ml.taxonomy import Floats, Taxonomy
from tests.ml.specificity_fixtures import Nested, rows_of, write_taxonomy

PHOTOS: Final = {"usual": 90, "look-alike": 360}
"""Photographs of a species: many of those that are to be told apart."""
OWN, ALIKE, RELATED, NOISE = 5.0, 4.6, 2.0, 1.7
"""Evidence for the species, for its look-alike and for others of the genus; standard deviation of what is none."""
WATCHED: Final = APART_IN_PLACE[0]
PLACE_FAULTS: Final = {"ZERO_COORDINATE", "COUNTRY_COORDINATE_MISMATCH"}


class World(NamedTuple):
    """Observations with one photograph each, that no calibration has seen, and the version that answers about them."""

    taxonomy: Taxonomy
    calibration: CalibrateResult
    version: Answering
    labels: npt.NDArray[np.int32]
    """Shape N."""
    probabilities: Floats
    """Shape N x C."""
    sites: Sites
    """Shape N."""
    strays: npt.NDArray[np.bool_]
    """Outside the range of their species. Shape N."""

    def class_of(self, species: str) -> int:
        """The class of a species, by its name."""
        return int(self.taxonomy.class_id[self.taxonomy.find(species)])


def calibrated_world(folder: Path) -> World:
    """Draw the observations, write them as the pipeline does, calibrate, and read what is served."""
    kinds, found = read_kinds(), []
    taxonomy_file = write_taxonomy(folder / "taxonomy.parquet", rows_of(_tree(kinds)))
    taxonomy = Taxonomy.read(taxonomy_file)
    pairs = {*APART_IN_PLACE, *APART_IN_SEASON}
    for kind in kinds:
        name = kind.taxon.lineage["species"].name
        class_id = int(taxonomy.class_id[taxonomy.find(name)])
        photos = PHOTOS["look-alike" if name in pairs else "usual"]
        found += [(one, class_id, _strayed(kind, one)) for one in observations_of(replace(kind, photos=photos))]
    labels = np.array([class_id for _, class_id, _ in found], np.int32)
    probabilities = _network(labels, taxonomy)
    parts = np.array([share("part", one.gbif_id) for one, _, _ in found])
    train, fresh = parts < 0.35, parts >= 0.65
    sites = Sites(*np.array([_site(one) for one, _, _ in found], np.float64).T)
    keys = [one.gbif_id for one, _, _ in found]
    spec = _written(folder, keys, labels, probabilities, sites, train=train, seen=~train & ~fresh, halves=parts < 0.5)
    result = run(spec, reporter=Reporter(lambda _: None))
    return World(
        taxonomy=taxonomy,
        calibration=result,
        version=Answering.read(_artifacts(spec, result)),
        labels=labels[fresh],
        probabilities=probabilities[fresh],
        sites=sites.rows(fresh),
        strays=np.array([stray for _, _, stray in found])[fresh],
    )


def _tree(kinds: tuple[Kind, ...]) -> Nested:
    tree: Nested = {}
    for kind in kinds:
        level = tree
        for rank, above in zip(RANKS, ("", *RANKS), strict=False):
            name = kind.taxon.lineage.get(rank)
            # Where a rank is blank, a placeholder, as in the pipeline.
            level = level.setdefault(name.name if name else f"{rank} of {kind.taxon.lineage[above].name}", {})
    return tree


def _strayed(kind: Kind, one: Occurrence) -> bool:
    latitude, longitude, *_ = _site(one)
    told = not np.isnan(latitude) and not one.information_withheld
    return told and not habits_in_list(kind.taxon).range.holds(latitude, longitude)


def _site(one: Occurrence) -> tuple[float, float, float, float]:
    usable = one.latitude is not None and PLACE_FAULTS.isdisjoint(one.issues)
    latitude, longitude = (one.latitude, one.longitude) if usable else (np.nan, np.nan)
    numbers = (latitude, longitude, one.uncertainty_m, day_of(one.event_date))
    return tuple(np.nan if number is None else float(number) for number in numbers)  # type: ignore[return-value]


def _network(labels: npt.NDArray[np.int32], taxonomy: Taxonomy) -> Floats:
    """Distributions that find the genus mostly, the species often, and one of two look-alikes by chance."""
    names = [taxonomy.name[node] for node in np.flatnonzero(taxonomy.class_id >= 0)]
    genera = np.array([name.split()[0] for name in names])
    evidence = np.where(genera[:, None] == genera[None, :], RELATED, 0.0)
    for pair in (APART_IN_PLACE, APART_IN_SEASON):
        one, other = map(names.index, pair)
        evidence[one, other] = evidence[other, one] = ALIKE
    np.fill_diagonal(evidence, OWN)
    logits = evidence[labels] + np.random.default_rng(7).normal(size=(len(labels), len(names)), scale=NOISE)
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows: Floats = exponential / exponential.sum(axis=1, keepdims=True)
    return rows


def _written(
    folder: Path,
    keys: list[str],
    labels: npt.NDArray[np.int32],
    probabilities: Floats,
    sites: Sites,
    *,
    train: npt.NDArray[np.bool_],
    seen: npt.NDArray[np.bool_],
    halves: npt.NDArray[np.bool_],
) -> CalibrateSpec:
    """The tables that a calibration reads: predictions of `seen`, and places of all but what nobody has seen."""
    names = np.array(keys)
    known = train | seen
    numbers = {name: pa.array(column[known], from_pandas=True) for name, column in sites._asdict().items()}
    places = {
        "occurrence_key": names[known],
        "class_id": labels[known],
        "side": np.where(train[known], "train", "validation"),
        "country": ["NZ"] * int(known.sum()),
        "observer": pa.nulls(int(known.sum()), pa.string()),
        **numbers,
    }
    pq.write_table(pa.table(places), folder / "places.parquet")
    split = dict.fromkeys(("photo_id", "occurrence_key", "observation_id"), names[known])
    pq.write_table(pa.table(split), folder / "split.parquet")
    half = np.where(halves[seen], "calibration", "evaluation")
    predictions = {"photo_id": names[seen], "class_id": labels[seen], "half": half}
    pq.write_table(pa.table(predictions), folder / "validation.parquet")
    np.save(folder / "p.npy", probabilities[seen])
    return CalibrateSpec(
        network="baseline",
        probabilities=folder / "p.npy",
        predictions=folder / "validation.parquet",
        taxonomy=folder / "taxonomy.parquet",
        split=folder / "split.parquet",
        places=folder / "places.parquet",
        output=folder / "evaluation",
        spec_hash="c0ffee",
        target=0.9,
        method="exact",
        watch_list=(WATCHED,),
        seed=7,
        tracking=None,
    )


def _artifacts(spec: CalibrateSpec, result: CalibrateResult) -> dict[str, str]:
    assert result.place_prior is not None
    files = {
        "taxonomy": spec.taxonomy,
        "specificity": spec.output / "result.json",
        "thresholds": result.thresholds,
        "by_target": result.by_target,
        "place_prior": result.place_prior,
    }
    for case in result.place_cases:
        files |= {f"thresholds_{case.case}": case.thresholds, f"by_target_{case.case}": case.by_target}
    return {name: str(spec.output / file) for name, file in files.items()}
