"""The archive is a Darwin Core Archive as GBIF delivers them, the same bytes each time, in parts if wanted."""

import asyncio
import csv
import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from aiohttp import encode_basic_auth
from hypothesis import given
from hypothesis import strategies as st

from demo.bodies import byte_range
from demo.gbif.archive import write_archive
from demo.server import PASSWORD, USER
from tests.demo.conftest import Client, Serve
from tests.demo.replica_fixtures import SmallSource

DOWNLOAD = "/v1/occurrence/download"
ACCOUNT = {"Authorization": encode_basic_auth(USER, PASSWORD)}
TEXT = "{http://rs.tdwg.org/dwc/text/}"


def _archive(base: str = "http://a.test") -> bytes:
    return write_archive(SmallSource().occurrences(), key="0000001-1", doi="10.21373/dl.abc", base=base)


def _terms(meta: bytes, tag: str) -> dict[str, str]:
    """File name to list of terms is what meta.xml is for."""
    part = next(element for element in ET.fromstring(meta).iter(TEXT + tag))
    return {field.attrib["term"].rsplit("/", 1)[1]: field.attrib["term"] for field in part.iter(TEXT + "field")}


def _rows(archive: bytes, name: str) -> list[dict[str, str]]:
    text = zipfile.ZipFile(io.BytesIO(archive)).read(name).decode()
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


async def _link(client: Client, body: dict[str, object]) -> str:
    async with client.post(f"{DOWNLOAD}/request", json=body, headers=ACCOUNT) as response:
        key = await response.text()
    await asyncio.sleep(0.15)
    return f"{DOWNLOAD}/request/{key}.zip"


def test_the_members_are_those_of_a_gbif_download() -> None:
    assert set(zipfile.ZipFile(io.BytesIO(_archive())).namelist()) == {
        *("occurrence.txt", "multimedia.txt", "meta.xml", "metadata.xml", "citations.txt", "rights.txt"),
        "dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7.xml",
    }


def test_equal_downloads_are_equal_bytes() -> None:
    assert _archive() == _archive()


def test_every_record_and_every_media_item_has_its_row() -> None:
    occurrences, media = _rows(_archive(), "occurrence.txt"), _rows(_archive(), "multimedia.txt")
    assert len(occurrences) == 13
    assert {row["gbifID"] for row in media} == {row["gbifID"] for row in occurrences} - {"9000"}
    assert media[0]["identifier"] == "http://a.test/photos/0/original.jpg"
    synonym = occurrences[4]
    assert (synonym["taxonKey"], synonym["taxonomicStatus"], synonym["species"]) == ("old", "SYNONYM", "Morus alba")
    assert occurrences[-1]["taxonKey"] == occurrences[-1]["kingdom"] == ""


def test_tabs_cannot_break_a_row_and_quotes_stay_as_they_are() -> None:
    assert _rows(_archive(), "occurrence.txt")[0]["recordedBy"] == "Ana Smith"
    assert _rows(_archive(), "multimedia.txt")[0]["rightsHolder"] == 'Ana "kea" Smith'


def test_the_description_names_the_columns_in_their_order() -> None:
    archive = zipfile.ZipFile(io.BytesIO(_archive()))
    for tag, name in (("core", "occurrence.txt"), ("extension", "multimedia.txt")):
        header = archive.read(name).decode().splitlines()[0].split("\t")
        assert list(_terms(archive.read("meta.xml"), tag)) == header


def test_every_term_is_one_that_gbif_uses(shared: Path) -> None:
    recorded = zipfile.ZipFile(shared / "gbif" / "dwca" / "gbif_download_amblyomma_inat.zip").read("meta.xml")
    known = {field.attrib["term"] for field in ET.fromstring(recorded).iter(TEXT + "field")}
    meta = zipfile.ZipFile(io.BytesIO(_archive())).read("meta.xml")
    ours = {*_terms(meta, "core").values(), *_terms(meta, "extension").values()}
    assert ours - known == {"http://rs.gbif.org/terms/1.0/checklistKey"}, "the recording is older than the checklists"


async def test_the_archive_can_be_taken_in_parts(serve: Serve, whole: dict[str, object]) -> None:
    client = await serve()
    link = await _link(client, whole)
    async with client.get(link) as response:
        complete, tag = await response.read(), response.headers["ETag"]
    parts = []
    for asked in ("bytes=0-99", "bytes=100-"):
        async with client.get(link, headers={"Range": asked, "If-Range": tag}) as response:
            assert response.status == 206
            parts.append(await response.read())
    assert b"".join(parts) == complete
    async with client.get(link, headers={"Range": f"bytes={len(complete)}-"}) as response:
        assert response.status == 416
    async with client.get(link, headers={"Range": "bytes=5-", "If-Range": '"another"'}) as response:
        assert (response.status, await response.read()) == (200, complete)


async def test_two_replicas_on_two_ports_deliver_the_same_bytes(serve: Serve, whole: dict[str, object]) -> None:
    bodies = []
    for _ in range(2):
        client = await serve(public_url="http://photos.replica.test")
        async with client.get(await _link(client, whole)) as response:
            bodies.append(await response.read())
    assert bodies[0] == bodies[1]


async def test_a_predicate_decides_what_is_inside(serve: Serve) -> None:
    predicate = {
        "type": "and",
        "predicates": [
            {"type": "in", "key": "TAXON_KEY", "values": ["Animalia", "Plantae"]},
            {"type": "greaterThanOrEquals", "key": "YEAR", "value": "2011"},
            {"type": "not", "predicate": {"type": "equals", "key": "TAXON_KEY", "value": "old"}},
            {"type": "isNotNull", "parameter": "MEDIA_TYPE"},
        ],
    }
    client = await serve()
    async with client.get(await _link(client, {"predicate": predicate})) as response:
        rows = _rows(await response.read(), "occurrence.txt")
    assert {row["taxonKey"] for row in rows} & {"old", ""} == set()
    assert {int(row["year"]) for row in rows} == set(range(2011, 2019)) - {2014}


@given(st.integers(1, 500), st.integers(0, 600), st.integers(0, 600))
def test_a_range_lies_within_the_body(length: int, first: int, last: int) -> None:
    found = byte_range(f"bytes={first}-{last}", length=length)
    assert found == (None if first >= length or last < first else (first, min(last + 1, length)))


@pytest.mark.parametrize("header", ["bytes=-", "items=0-1", "bytes=0-1,3-4", ""])
def test_what_is_not_one_range_is_said_to_be_none(header: str) -> None:
    with pytest.raises(ValueError, match="single byte range"):
        byte_range(header, length=10)
