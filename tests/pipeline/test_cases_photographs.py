"""Photographs and hosts of public bug reports come to the right outcome, and never end a run for the others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import NatureWatchError
from tests.pipeline.cases import Outcome, PhotoHost, Run, archive_of, dataset, fetched, indexed, photo_host, settings_of


@pytest.fixture
def host(shared: Path) -> Iterator[PhotoHost]:
    if not (shared / "cases").is_dir():
        pytest.skip(f"the archives are not at {shared / 'cases'}")
    with photo_host(shared / "cases") as running:
        yield running


@pytest.fixture
def run(host: PhotoHost, tmp_path: Path) -> Run:
    def run(case: str, **sections: Any) -> Outcome:  # noqa: ANN401
        archive = archive_of(host.cases / case, host, tmp_path / "archive.zip")
        return fetched(indexed(settings_of(archive, tmp_path / "data", **sections)))

    return run


def require_complete(outcome: Outcome) -> None:
    """What the asset asks before a dataset is made."""
    assert outcome.summary is not None
    outcome.summary.require_complete(most_failed=outcome.settings.photos.most_failed)


def test_a_malformed_host_stops_nothing(run: Run) -> None:
    outcome = run("double_dot")
    statuses = {row["url"]: row["status"] for row in outcome.rows("photos")}
    assert statuses.pop("http://www..museum.example/a.jpg") in {"blocked", "failed"}
    assert set(statuses.values()) == {"ok"}
    assert len(statuses) == 15
    require_complete(outcome)
    assert sum(dataset(outcome).classes.values()) == 15


@pytest.mark.parametrize("case", ["exif_zeroed", "exif_orientation_type", "exif_others"])
def test_damaged_exif_never_ends_a_run(run: Run, case: str) -> None:
    outcome = run(case)
    assert set(outcome.statuses.values()) == {"ok"}
    assert sum(dataset(outcome).classes.values()) == 16


def test_unusual_but_readable_jpegs_are_photographs(run: Run) -> None:
    outcome = run("jpeg_zoo")
    assert {path for path, status in outcome.statuses.items() if status != "ok"} == set()
    assert sum(dataset(outcome).classes.values()) == len(outcome.statuses)


def test_odd_answers_are_understood(run: Run) -> None:
    outcome = run("odd_answers")
    assert {path: status for path, status in outcome.statuses.items() if status != "ok"} == {}


def test_a_host_that_only_refuses_ends_the_run_with_its_name_and_the_next_run_completes_it(
    run: Run, host: PhotoHost
) -> None:
    outcome = run("whole_host_blocked")
    moody = {path: status for path, status in outcome.statuses.items() if "/moody/" in path}
    assert len(moody) == 24
    assert set(moody.values()) == {"failed"}
    with pytest.raises(NatureWatchError, match=r"24 of 40 photographs.*localhost"):
        require_complete(outcome)
    host.mended = True
    require_complete(fetched(outcome))
    assert set(outcome.statuses.values()) == {"ok"}


def test_of_an_http_and_an_https_address_the_other_is_tried(run: Run) -> None:
    outcome = run("messy_but_fine")
    assert set(outcome.statuses.values()) == {"ok"}
