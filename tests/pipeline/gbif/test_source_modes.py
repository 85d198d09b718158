"""The four ways to bring occurrences here, against the embedded replica: asked for once, gone on with, cited."""

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError, ChildError, GbifError
from pipeline.gbif.client import Api
from pipeline.gbif.growth import growth_of
from pipeline.gbif.observation import observe
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.scope import predicate, search_parameters
from pipeline.gbif.source import SourceRecord, fetch_source
from pipeline.launching.replica import Replica, running_replica, source_api
from pipeline.table_checks import check_table

COLUMNS = (
    "path", "kingdom", "phylum", "class", "order", "family", "genus", "species", "source_name", "subset",
    "licence", "rights_holder", "source_url",
)  # fmt: skip
CHECKLIST = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
LINEAGE = ("Animalia", "Chordata", "Aves", "Psittaciformes", "Strigopidae", "Nestor")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of six photographs of two species."""
    folder = tmp_path_factory.mktemp("photographs")
    rows = []
    for number in range(6):
        Image.new("RGB", (64, 48), (number * 40, 90, 60)).save(folder / f"{number}.jpg")
        species = "Nestor notabilis" if number % 2 else "Nestor meridionalis"
        rows.append((f"{number}.jpg", *LINEAGE, species, species, "test", "CC0", "somebody", ""))
    with (folder / "photos.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return folder / "photos.csv"


@pytest.fixture
def replica_settings(make_settings: Callable[..., Settings], table: Path) -> Settings:
    return make_settings(source={"mode": "replica", "replica": {"photos": table}})


@pytest.fixture
def replica(replica_settings: Settings) -> Iterator[Replica]:
    with running_replica(replica_settings) as running:
        yield running


def read(settings: Settings, *, said: list[str]) -> SourceRecord:
    with source_api(settings) as api:
        return fetch_source(settings, api=api, log=said.append)


def test_a_download_is_asked_for_awaited_fetched_and_cited(replica_settings: Settings) -> None:
    said: list[str] = []
    record = read(replica_settings, said=said)
    assert record.total_records == 6
    assert record.doi is not None
    assert record.doi.startswith("10.")
    assert record.citation is not None
    assert record.doi in record.citation
    # What the replica says of itself is made up, and nobody is to cite it.
    assert record.origin is not None
    assert record.origin.startswith("photographs listed in photos.csv, served by the embedded replica")
    assert (replica_settings.paths.data_root / record.archive).exists()
    text = "\n".join(said)
    assert "asked GBIF" in text
    assert "SUCCEEDED" in text


def test_a_second_run_goes_on_with_the_same_download(replica_settings: Settings) -> None:
    first = read(replica_settings, said=[])
    said: list[str] = []
    assert read(replica_settings, said=said) == first
    assert "going on with" in said[0]


def forget(settings: Settings) -> None:
    """Let the replica forget the downloads that it was asked for."""
    for kept in settings.paths.replica_state.glob("*.json"):
        kept.unlink()


def test_a_key_that_was_never_written_down_is_found_in_the_users_list(replica_settings: Settings) -> None:
    first = read(replica_settings, said=[])
    (request,) = replica_settings.paths.downloads.glob("*/request.json")
    request.unlink()
    said: list[str] = []
    assert read(replica_settings, said=said) == first
    assert "asked for before" in said[0]


def test_a_download_that_gbif_has_forgotten_is_asked_for_again(replica_settings: Settings) -> None:
    first = read(replica_settings, said=[])
    (request,) = replica_settings.paths.downloads.glob("*/request.json")
    remembered = json.loads(request.read_text())
    request.write_text(json.dumps({**remembered, "key": "0000000-000000000000000"}))
    forget(replica_settings)
    said: list[str] = []
    assert read(replica_settings, said=said).total_records == first.total_records
    assert "asked GBIF" in said[0]


def test_after_a_week_a_new_download_is_asked_for(replica_settings: Settings) -> None:
    first = read(replica_settings, said=[])
    (request,) = replica_settings.paths.downloads.glob("*/request.json")
    old = dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=7)
    request.write_text(json.dumps({"key": first.key, "requested_at": old.isoformat()}))
    for kept in replica_settings.paths.replica_state.glob("*.json"):
        kept.write_text(json.dumps({**json.loads(kept.read_text()), "created": old.timestamp()}))
    said: list[str] = []
    assert read(replica_settings, said=said).key != first.key
    assert "asked GBIF" in said[0]


def test_a_search_gives_the_same_occurrences_as_a_download(
    make_settings: Callable[..., Settings], replica_settings: Settings, replica: Replica, tmp_path: Path
) -> None:
    read(replica_settings, said=[])
    build_occurrences(replica_settings.paths, replica_settings)
    searched = make_settings(source={"mode": "search"}, data_root=tmp_path / "searched")
    fetch_source(searched, api=Api(replica.api_url), log=lambda _: None)
    build_occurrences(searched.paths, searched)
    for name in ("occurrences", "media"):
        assert check_table(name, searched.paths.table(name)) == []
        # Archives name a record's licence by a code, the API by an address.
        one, two = (pq.read_table(each.paths.table(name)) for each in (replica_settings, searched))
        differing = {"licence", "verbatim_name"} & set(one.column_names)
        assert one.drop_columns(list(differing)).to_pylist() == two.drop_columns(list(differing)).to_pylist()


def test_a_missing_archive_is_named(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(source={"mode": "archive", "archive": "nowhere.zip"})
    with pytest.raises(ArchiveError, match=r"nowhere\.zip"):
        fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=lambda _: None)


def test_a_download_needs_credentials_and_says_which(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(source={"mode": "download"})
    with pytest.raises(GbifError, match="GBIF_USER"), source_api(settings) as api:
        fetch_source(settings, api=api, log=lambda _: None)


def test_growth_is_the_change_against_the_last_download(replica_settings: Settings) -> None:
    record = read(replica_settings, said=[])
    with source_api(replica_settings) as api:
        seen = observe(replica_settings, api=api)
    assert seen.records == 6
    assert seen.version == f"6 records, {seen.modified}"
    assert growth_of(replica_settings, seen, today=dt.date(2026, 11, 26)).key is None
    smaller = record.model_copy(update={"total_records": 5})
    replica_settings.paths.current_download.write_text(smaller.model_dump_json())
    found = growth_of(replica_settings, seen, today=dt.date(2026, 11, 26))
    # A fifth is twenty times one per cent.
    assert found.key == f"{record.key}+20"


def test_the_replica_says_why_it_does_not_start(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    settings = make_settings(source={"mode": "replica", "replica": {"photos": tmp_path / "absent.csv"}})
    with pytest.raises(ChildError, match=r"absent\.csv"), running_replica(settings):
        pytest.fail("it should not come this far")


def test_the_scope_speaks_both_of_gbifs_languages(make_settings: Callable[..., Settings]) -> None:
    source = make_settings(
        source={"taxon_keys": ["V2", "Q2M4"], "country": "NZ", "years": [2010, 2020], "checklist_key": CHECKLIST}
    ).source
    clauses = predicate(source)["predicates"]
    assert {"type": "in", "key": "TAXON_KEY", "values": ["V2", "Q2M4"], "checklistKey": CHECKLIST} in clauses  # type: ignore[operator]
    assert {"type": "equals", "key": "COUNTRY", "value": "NZ"} in clauses  # type: ignore[operator]
    assert {"type": "lessThanOrEquals", "key": "YEAR", "value": "2020"} in clauses  # type: ignore[operator]
    parameters = search_parameters(source)
    assert parameters["taxonKey"] == ["V2", "Q2M4"]
    assert parameters["year"] == "2010,2020"
    assert parameters["checklistKey"] == CHECKLIST


def test_record_licences_are_part_of_the_scope_in_either_spelling(make_settings: Callable[..., Settings]) -> None:
    source = make_settings(source={"licences": ["CC0", "cc-by", "CC_BY_NC_4_0"]}).source
    names = ["CC0_1_0", "CC_BY_4_0", "CC_BY_NC_4_0"]
    clauses = predicate(source)["predicates"]
    assert {"type": "in", "key": "LICENSE", "values": names} in clauses  # type: ignore[operator]
    assert search_parameters(source)["license"] == names
    with pytest.raises(ValidationError, match="licences"):
        make_settings(source={"licences": ["CC-BY-ND"]})
