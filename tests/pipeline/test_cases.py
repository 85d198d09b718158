"""Archives made after public bug reports come to the right outcome, from the archive to the pack."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.cases import Outcome, PhotoHost, Run, archive_of, dataset, fetched, indexed, photo_host, settings_of

NESTORS = {"Nestor notabilis": 8, "Nestor meridionalis": 8}


@pytest.fixture(scope="module")
def host(shared: Path) -> Iterator[PhotoHost]:
    if not (shared / "cases").is_dir():
        pytest.skip(f"the archives are not at {shared / 'cases'}")
    with photo_host(shared / "cases") as running:
        yield running


@pytest.fixture
def run(host: PhotoHost, tmp_path: Path) -> Run:
    def run(case: str, *, root: str = "data", **sections: Any) -> Outcome:  # noqa: ANN401
        archive = archive_of(host.cases / case, host, tmp_path / "archive.zip")
        return indexed(settings_of(archive, tmp_path / root, **sections))

    return run


def test_licences_are_read_whatever_their_dashes(run: Run) -> None:
    outcome = run("licence_typography", photos={"licences": ["CC0", "CC-BY"]})
    assert [row["licence"] for row in outcome.rows("photo_index")] == ["CC-BY"] * 8
    assert outcome.removed["photo_index"]["licence"] == 7
    details = {row["detail"] for row in outcome.rows("rejections") if row["rule"] == "licence"}
    assert details == {"CC-BY-NC", "CC-BY-NC-ND", "CC-BY-ND"}


def test_open_names_are_no_classes(run: Run) -> None:
    outcome = run("open_names")
    assert outcome.species == NESTORS
    assert outcome.removed["clean_occurrences"] == {"provisional_name": 12, "doubtful_match": 6}


def test_absent_organisms_are_no_class(run: Run) -> None:
    outcome = run("absent")
    assert outcome.species == {"Nestor notabilis": 8}
    assert outcome.removed["clean_occurrences"] == {"absent": 6}


def test_a_forma_specialis_stands_for_its_species(run: Run) -> None:
    outcome = run("forma_specialis")
    assert outcome.species == {"Nestor notabilis": 8, "Puccinia graminis": 12}
    assert "clean_occurrences" not in outcome.removed


@pytest.mark.parametrize("case", ["verbatim_multimedia", "zipped_folder"])
def test_archives_of_other_shapes_are_read(run: Run, case: str) -> None:
    outcome = run(case)
    assert outcome.species == NESTORS
    assert len(outcome.rows("photo_index")) == 16
    assert all(row["creator"] == "observer one" for row in outcome.rows("photo_index"))
    assert outcome.removed == {}


def test_any_folder_can_hold_the_data(run: Run) -> None:
    outcome = dataset(fetched(run("brackets", root="NZ birds [2026]/a=b/data*?")))
    assert outcome.classes == NESTORS


def test_inaturalists_own_export_is_told_early_and_truly(run: Run) -> None:
    outcome = run("inat_own_archive")
    assert "is no GBIF download" in outcome.said[0]
    assert outcome.rows("clean_occurrences") == []
    assert set(outcome.removed["clean_occurrences"]) == {"missing_species_key"}


def test_what_is_messy_but_fine_stays_fine(run: Run) -> None:
    # One of its photographs states no licence.
    outcome = dataset(fetched(run("messy_but_fine", photos={"licences": ["all"]})))
    assert outcome.removed["occurrences"] == {"no_gbif_id": 1}
    assert outcome.removed["clean_occurrences"] == {"duplicate_occurrence": 1}
    assert outcome.removed["photo_index"] == {"no_address": 1, "not_image": 2, "duplicate_address": 2, "no_photo": 1}
    fine = {path for path, status in outcome.statuses.items() if status == "ok"}
    assert {"/photos/ok/with space ümläut.JPG", "/photos/ok/no-extension", "/photos/ok/upper.jpg"} <= fine
    assert len(outcome.classes) == 2
