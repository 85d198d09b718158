"""What the source holds now, asked of real local servers and files, and whether a run would fetch something new."""

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stamina

from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError, FolderError, GbifError
from pipeline.gbif.client import UnreachableError
from pipeline.gbif.growth import Growth, growth_of
from pipeline.gbif.observation import Observation, observe
from pipeline.gbif.source import fetch_source
from tests.pipeline.gbif_server import KEA, Gbif, archive, fetch

Make = Callable[..., Settings]
TODAY = dt.date(2026, 11, 26)
HEADER = "path,kingdom,phylum,class,order,family,genus,species\n"


def seen(settings: Settings, gbif: Gbif) -> Observation:
    return observe(settings, api=gbif.api)


def grown(settings: Settings, gbif: Gbif, *, today: dt.date = TODAY) -> Growth:
    return growth_of(settings, seen(settings, gbif), today=today)


@pytest.mark.parametrize("mode", ["download", "search", "replica"])
def test_of_gbif_the_count_and_the_date_of_its_dataset_make_the_version(
    make_settings: Make, gbif: Gbif, mode: str
) -> None:
    settings = make_settings(source={**KEA, "mode": mode})
    gbif.count = 1234
    found = seen(settings, gbif)
    assert found == Observation(
        version="1234 records, 2026-11-20T00:00:00.000+00:00", records=1234, modified="2026-11-20T00:00:00.000+00:00"
    )
    (page,) = gbif.pages
    assert page["limit"] == ["0"]
    assert page["country"] == ["NZ"]
    assert gbif.bodies == []
    # As many came as went: only the date tells.
    gbif.modified = "2026-11-27T00:00:00.000+00:00"
    assert seen(settings, gbif).version != found.version


def test_growth_of_a_download_is_named_once_for_each_further_step(make_settings: Make, gbif: Gbif) -> None:
    settings = make_settings(source=KEA, refresh={"growth": 0.01})
    assert grown(settings, gbif) == Growth(said="nothing was fetched yet: the first run is started by a person")
    record = fetch(settings, gbif)
    assert record.total_records == 3
    keys = []
    for records in (2, 3, 4, 4, 5):
        gbif.count = records
        keys.append(grown(settings, gbif).key)
    third, two_thirds = f"{record.key}+33", f"{record.key}+66"
    assert keys == [None, None, third, third, two_thirds]
    assert grown(settings, gbif).said == "5 records now, 3 in the last download"


def test_a_download_that_the_configuration_names_never_grows(make_settings: Make, gbif: Gbif) -> None:
    record = fetch(make_settings(source=KEA), gbif)
    named = make_settings(source={**KEA, "download_key": record.key})
    fetch(named, gbif)
    gbif.count = 9
    found = grown(named, gbif)
    assert found.key is None
    assert "source.download_key names" in found.said


def test_a_search_is_made_once_a_day(make_settings: Make, gbif: Gbif) -> None:
    settings = make_settings(source={**KEA, "mode": "search"})
    gbif.count = 10
    record = fetch(settings, gbif)
    gbif.count = 11
    searched = dt.datetime.strptime(record.key[-8:], "%Y%m%d").replace(tzinfo=dt.UTC).date()
    today = grown(settings, gbif, today=searched)
    assert today.key is None
    assert today.said.endswith("is searched once a day")
    assert grown(settings, gbif, today=searched + dt.timedelta(days=1)).key == f"{record.key}+10"


def test_of_an_address_what_its_host_states_makes_the_version(make_settings: Make, gbif: Gbif) -> None:
    settings = make_settings(source={"mode": "archive", "archive": f"{gbif.api.url}/archive.zip"})
    size = len(gbif.archive)
    assert seen(settings, gbif).version == f'"one", {size} bytes'
    assert gbif.archive_ranges == [""]
    fetch_source(settings, api=gbif.api, log=lambda _: None)
    assert grown(settings, gbif).key is None
    gbif.versions = {"ETag": '"two"'}
    assert grown(settings, gbif) == Growth(
        said="there is another archive than the one that was fetched", key=f'"two", {size} bytes'
    )
    gbif.versions = {"Last-Modified": "Thu, 26 Nov 2026 03:00:00 GMT"}
    assert seen(settings, gbif).version == f"Thu, 26 Nov 2026 03:00:00 GMT, {size} bytes"


def test_an_address_that_states_no_version_is_not_asked_for_anew(make_settings: Make, gbif: Gbif) -> None:
    settings = make_settings(source={"mode": "archive", "archive": f"{gbif.api.url}/archive.zip"})
    gbif.versions = {}
    fetch_source(settings, api=gbif.api, log=lambda _: None)
    gbif.archive = archive(value="longer\n")
    assert "does not say when it changes" in grown(settings, gbif).said
    assert grown(settings, gbif).key is None


def test_an_archive_on_disk_changes_with_its_size_or_time(make_settings: Make, gbif: Gbif, tmp_path: Path) -> None:
    path = tmp_path / "given.zip"
    path.write_bytes(gbif.archive)
    settings = make_settings(source={"mode": "archive", "archive": str(path)})
    before = seen(settings, gbif)
    fetch_source(settings, api=gbif.api, log=lambda _: None)
    assert grown(settings, gbif).key is None
    # Elsewhere, the same archive.
    shutil.copy2(path, tmp_path / "moved.zip")
    assert seen(make_settings(source={"mode": "archive", "archive": str(tmp_path / "moved.zip")}), gbif) == before
    (tmp_path / "new.zip").write_bytes(archive(value="longer\n"))
    (tmp_path / "new.zip").replace(path)
    assert grown(settings, gbif).key == seen(settings, gbif).version != before.version


def test_ones_own_photographs_change_with_their_table_and_files(
    make_settings: Make, gbif: Gbif, tmp_path: Path
) -> None:
    table = tmp_path / "own.csv"
    lineage = ",Animalia,Chordata,Aves,Psittaciformes,Strigopidae,Nestor,Nestor notabilis\n"
    table.write_text(f"{HEADER}kea.jpg{lineage}absent.jpg{lineage}", encoding="utf-8")
    photo = tmp_path / "kea.jpg"
    photo.write_bytes(b"a photograph")
    settings = make_settings(source={"mode": "folder", "folder": table})
    fetch_source(settings, api=gbif.api, log=lambda _: None)
    assert grown(settings, gbif).key is None
    versions = [seen(settings, gbif).version]

    def changed() -> bool:
        versions.append(seen(settings, gbif).version)
        return versions[-1] not in versions[:-1] and grown(settings, gbif).key == versions[-1]

    photo.write_bytes(b"another photograph")
    assert changed()
    (tmp_path / "absent.jpg").write_bytes(b"it has come")
    assert changed()
    os.utime(photo, (0, 0))
    assert changed()
    table.write_text(f"{HEADER}kea.jpg{lineage}", encoding="utf-8")
    assert changed()
    assert gbif.asked == []


def test_a_source_that_cannot_be_asked_is_an_error_and_no_version(
    make_settings: Make, gbif: Gbif, tmp_path: Path
) -> None:
    def failing(error: type[Exception], **source: Any) -> None:  # noqa: ANN401
        with pytest.raises(error):
            seen(make_settings(source=source), gbif)

    failing(ArchiveError, mode="archive", archive=str(tmp_path / "absent.zip"))
    failing(FolderError, mode="folder", folder=tmp_path / "absent.csv")
    gbif.archive_status = 403
    failing(GbifError, mode="archive", archive=f"{gbif.api.url}/archive.zip")
    gbif.silent = True
    with stamina.set_testing(True, attempts=1):
        failing(UnreachableError, mode="archive", archive=f"{gbif.api.url}/archive.zip")
        failing(UnreachableError, **KEA)


def test_another_mode_than_that_of_the_last_run_is_left_to_a_person(make_settings: Make, gbif: Gbif) -> None:
    fetch(make_settings(source=KEA), gbif)
    gbif.count = 100
    found = grown(make_settings(source={**KEA, "mode": "search"}), gbif)
    assert found.key is None
    assert found.said == "the last run fetched a download, the configuration says search"
