"""All real photographs through the replica, in both modes, against counts made from the CSV alone."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from ml.spec import RANKS
from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.invariants import straddling_observations, tree
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.fetching.fetch import fetch_photos
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.launching.replica import photo_hosts, source_api
from pipeline.photos.index import build_photo_index
from pipeline.query import count
from tests.pipeline.tiny import read


def from_csv(path: Path, *, ranks: tuple[str, ...], minimum: int = 5) -> Counter[tuple[str, ...]]:
    """Lineage -> photographs of every species that has these ranks and enough photographs of different bytes."""
    contents: dict[tuple[str, ...], set[str]] = defaultdict(set)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if all(row[rank] for rank in ranks):
                digest = hashlib.sha256((path.parent / row["path"]).read_bytes()).hexdigest()
                contents[tuple(row[rank] for rank in RANKS)].add(digest)
    owners = Counter(digest for digests in contents.values() for digest in digests)
    counts = Counter({key: sum(owners[digest] == 1 for digest in digests) for key, digests in contents.items()})
    return Counter({key: number for key, number in counts.items() if number >= minimum})


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for both modes: photographs are fetched once."""
    return tmp_path_factory.mktemp("real")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("unusual", ["placeholder", "drop"])
def test_the_species_of_the_csv(
    make_settings: Callable[..., Settings], data_root: Path, shared: Path, unusual: str
) -> None:
    settings = make_settings(
        data_root=data_root,
        source={"replica": {"photos": shared / "photos.csv"}},
        photos={"concurrency": 32, "requests_per_second": 5000},
        taxonomy={"unusual": unusual},
    )
    paths = settings.paths
    with source_api(settings) as api:
        fetch_source(settings, api=api, log=lambda _: None)
    build_occurrences(paths, settings)
    build_clean_occurrences(paths, settings)
    build_photo_index(paths, settings)
    with photo_hosts(settings) as hosts:
        fetch_photos(paths, settings, hosts=hosts, log=lambda _: None)
    kept = read(build_species(paths, settings))
    build_taxonomy(paths, settings)
    split = build_split(paths, settings)

    expected = from_csv(shared / "photos.csv", ranks=RANKS if unusual == "drop" else ("species",))
    assert {tuple(row[rank] or "" for rank in RANKS): row["photos"] for row in kept} == expected
    assert count(split) == sum(expected.values())
    if unusual == "placeholder":
        assert (len(kept), count(split)) == (484, 4826)
    else:
        assert len(kept) < 484
    assert tree(paths) == []
    assert straddling_observations(paths) == []
