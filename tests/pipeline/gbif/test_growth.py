"""A second snapshot: exactly its photographs are asked for, and what is gone leaves the dataset and later training."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.request import urlopen

import pyarrow.parquet as pq

from demo.organisms.source import RenderedSource
from demo.records import Occurrence
from ml.images.pack import Pack, read_split
from pipeline.config.licence_names import OPEN
from pipeline.config.settings import Settings
from pipeline.dataset.attribution import build_attribution
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.leakage import build_leakage
from pipeline.dataset.manifest import balance, build_manifest
from pipeline.dataset.pack import build_training_photos
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.fetching.fetch import fetch_photos
from pipeline.gbif.licences import canonical_licence
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.history.changes import KINDS, Comparison, build_changes, relicensed
from pipeline.launching.replica import PUBLIC_HOST, photo_hosts, source_api
from pipeline.photos.index import build_photo_index
from pipeline.table_checks import check_table
from tests.pipeline import tiny

Make = Callable[..., Settings]

DATASET_TABLES = ("photo_index", "photos", "split", "genus_photos", "attribution")
"""The tables of the dataset that name photographs."""

YEARS = (2016, 2018)
"""A scope that is drawn in seconds, in which everything that can happen between snapshots happens."""


def served(make: Make, number: int, *, years: tuple[int, int] | None = None) -> Settings:
    return make(
        source={"replica": {"release": number}, "years": years},
        photos={"requests_per_second": 5000.0, "concurrency": 32},
        training={"image_size": 64},
    )


def compare(settings: Settings) -> Comparison:
    """From the download to the changes."""
    with source_api(settings) as api:
        fetch_source(settings, api=api, log=lambda _: None)
    build_occurrences(settings.paths, settings)
    build_clean_occurrences(settings.paths, settings)
    build_photo_index(settings.paths, settings)
    comparison = build_changes(settings.paths, settings)
    assert check_table("changes", settings.paths.table("changes")) == []
    return comparison


def fetch(settings: Settings) -> int:
    """Fetch what is missing; the requests for photographs that the replica itself counted."""
    with photo_hosts(settings) as hosts:
        fetch_photos(settings.paths, settings, hosts=hosts, log=lambda _: None)
        host, port = hosts[PUBLIC_HOST]
        with urlopen(f"http://{host}:{port}/_replica/stats", timeout=10) as answer:
            return int(json.load(answer)["photo_requests"])


def build_dataset(settings: Settings) -> None:
    build_species(settings.paths, settings)
    build_taxonomy(settings.paths, settings)
    build_split(settings.paths, settings)
    build_genus_photos(settings.paths, settings)
    build_attribution(settings.paths)
    build_training_photos(settings.paths, settings, log=lambda _: None)
    build_leakage(settings.paths)
    build_manifest(settings.paths, settings)
    assert balance(settings.paths) == []


def photographs(occurrences: Sequence[Occurrence]) -> dict[str, tuple[str, str]]:
    """What the replica holds: photo_id -> (species, canonical licence), of records that identify a species."""
    return {
        media.photo_id: (one.taxon.lineage["species"].name, canonical_licence(media.licence))
        for one in occurrences
        if one.taxon.rank in {"SPECIES", "SUBSPECIES"} and "\N{MULTIPLICATION SIGN}" not in one.taxon.scientific_name
        for media in one.media
        if media.format == "image/jpeg"
    }


def test_the_table_is_what_the_replica_changed(make_settings: Make) -> None:
    all_before, all_after = (photographs(RenderedSource(release=number).occurrences()) for number in (1, 2))
    before, after = (
        {photo: row for photo, row in every.items() if row[1] in OPEN} for every in (all_before, all_after)
    )
    first = compare(served(make_settings, 1))
    assert {row["photo_id"] for row in tiny.read(served(make_settings, 1).paths.table("photo_index"))} == set(before)
    second = compare(served(make_settings, 2))
    assert first.previous is None
    assert second.previous == first.snapshot.model_copy(update={"changes": first.counts})
    found = {kind: set[Any]() for kind in KINDS}
    for row in tiny.read(served(make_settings, 2).paths.table("changes")):
        moved = (row["species_before"], row["species_after"]) if row["change"] == "re-identified" else ()
        found[row["change"]].add((row["photo_id"], *moved))
    both = before.keys() & after.keys()
    assert found == {
        "new": {(photo,) for photo in after.keys() - before.keys()},
        "gone": {(photo,) for photo in before.keys() - after.keys()},
        "re-identified": {
            (photo, before[photo][0], after[photo][0]) for photo in both if before[photo][0] != after[photo][0]
        },
        "relicensed": {
            (photo,)
            for photo in all_before.keys() & all_after.keys()
            if all_before[photo][1] != all_after[photo][1] and photo in before.keys() | after.keys()
        },
    }
    assert all(found.values())
    named = {row["photo_id"]: row for row in relicensed(served(make_settings, 2).paths)}
    assert {(photo,) for photo in named} == found["relicensed"]
    assert {photo: row["effect"] for photo, row in named.items()} == {
        photo: "stays" if photo in both else "left" if photo in before else "entered" for photo in named
    }
    for photo, row in named.items():
        assert (row["licence_before"], row["licence_after"]) == (all_before[photo][1], all_after[photo][1])
        assert row["observation_id"]
    assert {"left", "stays"} <= {row["effect"] for row in named.values()}


def test_with_all_licences_nothing_is_kept_out(make_settings: Make) -> None:
    every = photographs(RenderedSource(release=1).occurrences())
    assert {licence for _, licence in every.values()} - set(OPEN) == {"all rights reserved", "unknown"}
    settings = make_settings(photos={"licences": ["all"]})
    assert compare(settings).counts["new"] == len(every)
    assert {row["photo_id"]: row["licence"] for row in tiny.read(settings.paths.table("photo_index"))} == {
        photo: licence for photo, (_, licence) in every.items()
    }


def test_a_snapshot_asks_for_its_own_photographs_and_withdraws_what_is_gone(make_settings: Make) -> None:
    one, two = (served(make_settings, number, years=YEARS) for number in (1, 2))
    paths = one.paths
    first = compare(one)
    assert fetch(one) == first.snapshot.photographs == first.counts["new"]
    build_dataset(one)
    files = {row["photo_id"]: row["path"] for row in tiny.read(paths.table("photos"))}
    trained_on = {photo for side in ("train", "validation") for photo in handed_out(one, side)}

    compare(one)
    assert fetch(one) == 0, "an unchanged snapshot asks for nothing"

    second = compare(two)
    assert all(second.counts.values()), "the scope must hold every kind of change"
    assert fetch(two) == second.counts["new"], "a snapshot asks for exactly what is new"
    assert fetch(two) == 0
    build_dataset(two)

    gone = {row["photo_id"] for row in tiny.read(paths.table("changes")) if row["change"] == "gone"}
    assert gone & trained_on, "something that was trained on must go"
    for name in DATASET_TABLES:
        assert gone.isdisjoint(pq.read_table(paths.table(name), columns=["photo_id"])["photo_id"].to_pylist()), name
    assert gone.isdisjoint(handed_out(two, "train") + handed_out(two, "validation"))
    # The pack keeps the bytes of a withdrawn record, and erases those that its licence no longer allows.
    left = {row["photo_id"] for row in relicensed(paths) if row["effect"] == "left"}
    assert left <= gone
    assert left & trained_on, "something that was trained on must leave by its licence"
    assert gone & trained_on & set(Pack(paths.pack_index).photo_ids) == gone & trained_on - left
    # What was fetched stays where nothing shows it.
    assert all((paths.data_root / files[photo]).is_file() for photo in left)

    # A re-identified photograph is taught under its new name, with the licence of today.
    species = {row["photo_id"]: row["species"] for row in tiny.read(paths.table("attribution"))}
    licences = {row["photo_id"]: row["licence"] for row in tiny.read(paths.table("photos"))}
    for row in tiny.read(paths.table("changes")):
        if row["change"] == "re-identified":
            assert species.get(row["photo_id"], row["species_after"]) == row["species_after"]
        if row["change"] == "relicensed" and row["photo_id"] not in left:
            assert licences[row["photo_id"]] == row["licence_after"]


def handed_out(settings: Settings, side: str) -> list[str]:
    """The photographs that the trainer is given."""
    pack = Pack(settings.paths.training_photos / "index.parquet")
    return read_split(settings.paths.table("split"), pack=pack, side=side).photo_ids
