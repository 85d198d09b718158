"""An archive is fetched whole: by range after a kill, never glued from two, verified, and anew when it changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError, GbifError
from pipeline.gbif import client as http_module
from pipeline.gbif.source import fetch_source
from tests.pipeline.gbif_server import KEA, Gbif, archive, fetch

Make = Callable[..., Settings]


@pytest.fixture
def settings(make_settings: Make) -> Settings:
    return make_settings(source=KEA)


def test_an_archive_that_breaks_off_is_gone_on_with(settings: Settings, gbif: Gbif) -> None:
    gbif.cut_after = 200_000
    record = fetch(settings, gbif)
    assert (settings.paths.data_root / record.archive).read_bytes() == gbif.archive
    first, second = gbif.archive_ranges
    assert first == ""
    assert 100_000 <= int(second.removeprefix("bytes=").rstrip("-")) <= 200_000


def partial_of(settings: Settings, gbif: Gbif, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bytes that a run leaves that was killed while it fetched."""
    gbif.cut_after = 200_000
    with monkeypatch.context() as patch:
        patch.setattr(http_module, "DROPPED", ())
        patch.setattr(http_module, "ATTEMPTS", 1)
        with pytest.raises(GbifError):
            fetch(settings, gbif)
    (partial,) = settings.paths.downloads.glob("*/*.partial")
    assert 100_000 <= partial.stat().st_size <= 200_000
    return partial


def test_a_killed_fetch_goes_on_from_the_bytes_it_has(
    settings: Settings, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    have = partial_of(settings, gbif, monkeypatch).stat().st_size
    record = fetch(settings, gbif)
    assert gbif.archive_ranges[-1] == f"bytes={have}-"
    assert (settings.paths.data_root / record.archive).read_bytes() == gbif.archive


def test_an_archive_that_changed_meanwhile_is_never_glued(
    settings: Settings, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial_of(settings, gbif, monkeypatch)
    gbif.versions, gbif.archive = {"ETag": '"two"'}, archive(value="8\n")
    record = fetch(settings, gbif)
    assert (settings.paths.data_root / record.archive).read_bytes() == gbif.archive


def test_a_server_without_ranges_starts_again(settings: Settings, gbif: Gbif, monkeypatch: pytest.MonkeyPatch) -> None:
    partial_of(settings, gbif, monkeypatch)
    gbif.serves_ranges = False
    record = fetch(settings, gbif)
    assert (settings.paths.data_root / record.archive).read_bytes() == gbif.archive


def test_an_archive_longer_than_announced_is_refused(settings: Settings, gbif: Gbif) -> None:
    gbif.announced = len(gbif.archive) - 1
    with pytest.raises(GbifError, match="more than"):
        fetch(settings, gbif)


def test_an_archive_shorter_than_announced_is_refused_and_fetched_anew(settings: Settings, gbif: Gbif) -> None:
    gbif.announced = len(gbif.archive) + 1
    with pytest.raises(ArchiveError, match="GBIF said"):
        fetch(settings, gbif)
    gbif.announced = None
    fetch(settings, gbif)


def test_a_damaged_archive_is_refused_and_fetched_anew(settings: Settings, gbif: Gbif) -> None:
    whole = gbif.archive
    gbif.archive = whole[:1000] + b"\x00\x01\x02" + whole[1003:]
    with pytest.raises(ArchiveError, match="damaged"):
        fetch(settings, gbif)
    gbif.archive = whole
    fetch(settings, gbif)


def test_an_archive_that_is_no_zip_is_refused_and_not_kept(settings: Settings, gbif: Gbif) -> None:
    gbif.archive = b"<html>" * 1000
    with pytest.raises(ArchiveError, match="no zip"):
        fetch(settings, gbif)
    gbif.archive = archive()
    fetch(settings, gbif)


VERSIONS = [
    ({"ETag": '"one"'}, {"ETag": '"two"'}),
    ({"Last-Modified": "Mon, 23 Nov 2026 08:00:00 GMT"}, {"Last-Modified": "Tue, 24 Nov 2026 08:00:00 GMT"}),
]


def at_address(make_settings: Make, gbif: Gbif) -> Settings:
    return make_settings(
        source={"mode": "archive", "archive": f"http://127.0.0.1:{gbif.server_address[1]}/nz.zip"},
    )


@pytest.mark.parametrize(("before", "after"), VERSIONS, ids=["ETag", "Last-Modified"])
def test_an_archive_at_an_address_is_fetched_again_when_it_changed_there(
    make_settings: Make, gbif: Gbif, before: dict[str, str], after: dict[str, str]
) -> None:
    settings = at_address(make_settings, gbif)
    gbif.versions = before
    first = fetch(settings, gbif)
    assert fetch(settings, gbif) == first
    assert len(gbif.archive_ranges) == 2
    gbif.versions, gbif.archive = after, archive(value="8\n")
    second = fetch(settings, gbif)
    assert second.sha256 != first.sha256
    assert (settings.paths.data_root / second.archive).read_bytes() == gbif.archive
    assert fetch(settings, gbif) == second


def test_a_host_that_heeds_no_conditions_is_understood_by_its_answer(make_settings: Make, gbif: Gbif) -> None:
    settings = at_address(make_settings, gbif)
    gbif.heeds_conditions = False
    fetch(settings, gbif)
    fetch(settings, gbif)
    assert len(gbif.archive_ranges) == 2, "asked once, not fetched again"


def test_an_archive_of_a_host_that_names_no_versions_is_kept_and_said_so(make_settings: Make, gbif: Gbif) -> None:
    settings = at_address(make_settings, gbif)
    gbif.versions = {}
    first = fetch(settings, gbif)
    said: list[str] = []
    assert fetch_source(settings, api=gbif.api, log=said.append) == first
    assert len(gbif.archive_ranges) == 1
    assert "does not say when it changes" in said[0]


def test_an_archive_whose_version_a_kill_left_unknown_is_fetched_again(make_settings: Make, gbif: Gbif) -> None:
    settings = at_address(make_settings, gbif)
    first = fetch(settings, gbif)
    (settings.paths.data_root / f"{first.archive}.validator").unlink()
    gbif.versions, gbif.archive = {"ETag": '"two"'}, archive(value="8\n")
    assert fetch(settings, gbif).sha256 != first.sha256
