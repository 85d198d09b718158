"""The replica speaks GBIF's search and download as they were recorded."""

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.organisms import Organisms
from demo.predicates import from_parameters, from_predicate
from demo.records import INATURALIST
from demo.server import Replica
from demo.taxa import COL_XR
from tests.demo.replicas import Client, Start

ACCOUNT = {"Authorization": aiohttp.encode_basic_auth("replica", "replica")}
ALL = {"type": "equals", "key": "DATASET_KEY", "value": INATURALIST}
BIRDS = {"type": "equals", "key": "TAXON_KEY", "value": "V2", "checklistKey": COL_XR}


async def asked(client: Client, predicate: object, *, headers: dict[str, str] = ACCOUNT) -> tuple[int, str]:
    response = await client.post(
        "/v1/occurrence/download/request", json={"format": "DWCA", "predicate": predicate}, headers=headers
    )
    return response.status, await response.text()


async def finished(client: Client, key: str) -> dict[str, Any]:
    for _ in range(100):
        document: dict[str, Any] = await (await client.get(f"/v1/occurrence/download/{key}")).json()
        if document["status"] == "SUCCEEDED":
            return document
        await asyncio.sleep(0.02)
    raise AssertionError(document)


def quick(
    organisms: Organisms,
    *,
    stage_seconds: float = 0.03,
    release: int = 1,
    state: Path | None = None,
    public_url: str | None = None,
) -> Replica:
    return Replica(source=organisms, stage_seconds=stage_seconds, release=release, state=state, public_url=public_url)


async def test_pages_cover_every_record_once(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    keys: list[int] = []
    while True:
        page = await (await client.get("/v1/occurrence/search", params={"limit": 300, "offset": len(keys)})).json()
        keys += [item["key"] for item in page["results"]]
        if page["endOfRecords"]:
            break
    assert len(keys) == len(set(keys)) == page["count"] == len(organisms.occurrences(1))


async def test_a_page_has_three_hundred_records_at_most(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    page = await (await client.get("/v1/occurrence/search", params={"limit": 1000})).json()
    assert page["limit"] == 300 == len(page["results"])


async def test_a_search_reaches_a_hundred_thousand_records(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    allowed = await client.get("/v1/occurrence/search", params={"limit": 300, "offset": 99_700})
    refused = await client.get("/v1/occurrence/search", params={"limit": 300, "offset": 99_701})
    assert (allowed.status, refused.status) == (200, 400)
    assert await refused.text() == "Max offset of 100001 exceeded: 99701 + 300"


async def test_filters_narrow_the_search(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))

    async def count(**parameters: str | list[str]) -> int:
        pairs = [
            (name, one) for name, value in parameters.items() for one in ([value] if isinstance(value, str) else value)
        ]
        page = await (await client.get("/v1/occurrence/search", params=pairs)).json()
        return int(page["count"])

    everything = await count()
    birds, fungi = await count(taxonKey="V2"), await count(taxonKey="F")
    assert 0 < birds < everything
    assert await count(taxonKey=["V2", "F"]) == birds + fungi
    assert await count(country="NZ", checklistKey=COL_XR, datasetKey=INATURALIST) == everything
    assert await count(country="AU") == 0
    assert 0 < await count(mediaType="StillImage") < everything
    assert await count(mediaType="Sound") == 1
    assert 0 < await count(license="CC_BY_NC_4_0") < everything
    assert await count(year="2015,2019") + await count(year="2020,*") == everything


async def test_a_value_that_cannot_be_read_is_refused(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    for parameters in ({"year": "soon"}, {"limit": "many"}, {"checklistKey": "another"}):
        response = await client.get("/v1/occurrence/search", params=parameters)
        assert response.status == 400


async def test_records_have_no_field_that_gbif_does_not_send(
    organisms: Organisms, start: Start, recorded: Path
) -> None:
    client = await start(quick(organisms))
    lines = (recorded / "inat_records.jsonl").read_text().splitlines()
    lines += (recorded / "odd_taxonomy.jsonl").read_text().splitlines()
    known = {name for line in lines for name in json.loads(line)}
    known_media = {name for line in lines for one in json.loads(line).get("media", []) for name in one}
    page = await (await client.get("/v1/occurrence/search", params={"limit": 300})).json()
    assert {name for item in page["results"] for name in item} <= known
    assert {name for item in page["results"] for one in item["media"] for name in one} <= known_media


async def test_a_download_is_prepared_runs_and_succeeds(organisms: Organisms, start: Start, recorded: Path) -> None:
    client = await start(quick(organisms, stage_seconds=0.15))
    status, key = await asked(client, ALL)
    assert status == 201
    seen: list[str] = []
    while not seen or seen[-1] != "SUCCEEDED":
        document = await (await client.get(f"/v1/occurrence/download/{key}")).json()
        seen += [] if document["status"] in seen else [document["status"]]
        await asyncio.sleep(0.02)
    assert seen == ["PREPARING", "RUNNING", "SUCCEEDED"]
    real = json.loads((recorded / "download" / "rgbif__occ_download_wait_request__56.json").read_text())["_response"]
    assert set(document) == set(real)
    assert document["downloadLink"] == str(client.make_url(f"/v1/occurrence/download/request/{key}.zip"))
    assert document["totalRecords"] == len(organisms.occurrences(1))
    archive = await (await client.get(f"/v1/occurrence/download/request/{key}.zip")).read()
    assert len(archive) == document["size"]
    citation = await (await client.get(f"/v1/occurrence/download/{key}/citation")).text()
    assert citation == f"GBIF.org (2 November 2026) GBIF Occurrence Download https://doi.org/{document['doi']}\n"


async def test_asking_needs_the_account(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    wrong = await asked(client, ALL, headers={"Authorization": aiohttp.encode_basic_auth("foobar", "secret")})
    assert wrong == (401, "Failed to authenticate user foobar\n")
    assert (await asked(client, ALL, headers={}))[0] == 401


async def test_a_bad_predicate_is_refused(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    for predicate in (
        None,
        {},
        {"type": "equals", "key": "COLOUR", "value": "blue"},
        {"type": "and", "predicates": []},
        {"type": "equals", "key": "YEAR"},
        {"type": "within", "key": "COUNTRY", "value": "NZ"},
        {"type": "greaterThan", "key": "YEAR", "value": "soon"},
    ):
        assert (await asked(client, predicate))[0] == 400
    response = await client.post("/v1/occurrence/download/request", data=b"{", headers=ACCOUNT)
    assert response.status == 400


async def test_a_fourth_unfinished_download_is_refused(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms, stage_seconds=30))
    for year in ("2018", "2019", "2020"):
        assert (await asked(client, {"type": "equals", "key": "YEAR", "value": year}))[0] == 201
    status, text = await asked(client, ALL)
    assert status == 420
    assert "too many simultaneous downloads; the limit is 3" in text


async def test_unknown_and_cancelled_downloads(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms, stage_seconds=30))
    unknown = await client.get("/v1/occurrence/download/0000000-000000000000000")
    assert (unknown.status, await unknown.text()) == (404, "Download was not found")
    _, key = await asked(client, ALL)
    assert (await client.get(f"/v1/occurrence/download/request/{key}.zip")).status == 404
    assert (await client.delete(f"/v1/occurrence/download/request/{key}", headers=ACCOUNT)).status == 204
    assert (await (await client.get(f"/v1/occurrence/download/{key}")).json())["status"] == "CANCELLED"
    assert (await asked(client, ALL)) == (201, key)


async def test_an_archive_is_served_in_ranges(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    _, key = await asked(client, BIRDS)
    size = (await finished(client, key))["size"]
    address = f"/v1/occurrence/download/request/{key}.zip"
    whole = await (await client.get(address)).read()
    half = size // 2
    rest = await client.get(address, headers={"Range": f"bytes={half}-"})
    assert rest.status == 206
    assert rest.headers["Content-Range"] == f"bytes {half}-{size - 1}/{size}"
    assert await rest.read() == whole[half:]
    assert await (await client.get(address, headers={"Range": "bytes=5-9"})).read() == whole[5:10]
    assert await (await client.get(address, headers={"Range": "bytes=-7"})).read() == whole[-7:]
    beyond = await client.get(address, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")


async def test_an_archive_has_gbifs_members_and_columns(organisms: Organisms, start: Start, recorded: Path) -> None:
    client = await start(quick(organisms))
    _, key = await asked(client, ALL)
    document = await finished(client, key)
    content = await (await client.get(f"/v1/occurrence/download/request/{key}.zip")).read()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as made,
        zipfile.ZipFile(recorded / "dwca" / "gbif_download_amblyomma_inat.zip") as real,
    ):
        assert set(made.namelist()) <= set(real.namelist())
        for name in ("occurrence.txt", "multimedia.txt", "verbatim.txt"):
            header, *rows = made.read(name).decode().removesuffix("\n").split("\n")
            columns = header.split("\t")
            real_columns = real.read(name).decode().split("\n", 1)[0].split("\t")
            assert [column for column in real_columns if column in columns] == columns
            assert {row.count("\t") for row in rows} == {len(columns) - 1}
        records = made.read("occurrence.txt").decode().count("\n") - 1
        fields = [element.get("term") for element in ET.fromstring(made.read("meta.xml")).iter() if element.get("term")]
        real_fields = [element.get("term") for element in ET.fromstring(real.read("meta.xml")).iter()]
        assert set(fields) <= set(real_fields)
    assert records == document["totalRecords"] == len(organisms.occurrences(1))


async def test_an_archive_has_the_same_bytes_on_every_port(organisms: Organisms, start: Start) -> None:
    archives = []
    for _ in range(2):
        client = await start(quick(Organisms(), public_url="http://photos.replica.test"))
        _, key = await asked(client, ALL)
        await finished(client, key)
        archives.append(await (await client.get(f"/v1/occurrence/download/request/{key}.zip")).read())
    assert archives[0] == archives[1]


async def test_a_restarted_replica_knows_its_downloads(organisms: Organisms, start: Start, tmp_path: Path) -> None:
    first = await start(quick(organisms, state=tmp_path, public_url="http://photos.replica.test"))
    _, key = await asked(first, BIRDS)
    document = await finished(first, key)
    await first.close()
    second = await start(quick(organisms, state=tmp_path, release=2, public_url="http://photos.replica.test"))
    again = await (await second.get(f"/v1/occurrence/download/{key}")).json()
    assert {**again, "downloadLink": ""} == {**document, "downloadLink": ""}
    assert (await asked(second, BIRDS))[1] != key, "another release is another download"


async def test_media_addresses_follow_the_host_that_is_asked(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    page = await (await client.get("/v1/occurrence/search", params={"mediaType": "StillImage", "limit": 5})).json()
    addresses = [one["identifier"] for item in page["results"] for one in item["media"]]
    assert addresses
    assert all(address.startswith(f"http://127.0.0.1:{client.port}/photos/") for address in addresses)
    public = await start(quick(organisms, public_url="http://photos.replica.test"))
    page = await (await public.get("/v1/occurrence/search", params={"limit": 50})).json()
    addresses = [one["identifier"] for item in page["results"] for one in item["media"]]
    assert all(address.startswith("http://photos.replica.test/") for address in addresses)


async def test_names_are_matched_and_homonyms_need_a_kingdom(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))

    async def match(**parameters: str) -> dict[str, Any]:
        answer: dict[str, Any] = await (await client.get("/v1/species/match", params=parameters)).json()
        return answer

    assert (await match(name="Aves"))["usageKey"] == "V2"
    assert (await match(name="Hebe stricta"))["status"] == "SYNONYM"
    assert (await match(name="Zwartbuikrotgans"))["matchType"] == "NONE"
    assert (await match(name="Morus"))["matchType"] == "NONE"
    gannet, mulberry = await match(name="Morus", kingdom="Animalia"), await match(name="Morus", kingdom="Plantae")
    assert gannet["usageKey"] != mulberry["usageKey"]


async def test_the_dataset_is_inaturalists(organisms: Organisms, start: Start) -> None:
    client = await start(quick(organisms))
    assert (await (await client.get(f"/v1/dataset/{INATURALIST}")).json())["type"] == "OCCURRENCE"
    assert (await client.get("/v1/dataset/another")).status == 404


ORGANISMS = Organisms()
SIMPLE = st.one_of(
    st.builds(lambda year: {"type": "equals", "key": "YEAR", "value": str(year)}, st.integers(2014, 2028)),
    st.builds(lambda year: {"type": "lessThan", "key": "YEAR", "value": str(year)}, st.integers(2014, 2028)),
    st.builds(lambda key: {"type": "equals", "key": "TAXON_KEY", "value": key}, st.sampled_from(["V2", "N", "P", "F"])),
    st.builds(
        lambda keys: {"type": "in", "key": "TAXON_KEY", "values": keys},
        st.lists(st.sampled_from(["V2", "F"]), min_size=1),
    ),
)


@settings(max_examples=30, deadline=None)
@given(one=SIMPLE, other=SIMPLE)
def test_predicates_obey_logic(one: dict[str, Any], other: dict[str, Any]) -> None:
    both = from_predicate({"type": "and", "predicates": [one, other]})
    either = from_predicate({"type": "or", "predicates": [one, other]})
    neither = from_predicate({"type": "not", "predicate": {"type": "or", "predicates": [one, other]}})
    first, second = from_predicate(one), from_predicate(other)
    for item in ORGANISMS.occurrences(1)[::7]:
        assert both(item) == (first(item) and second(item))
        assert either(item) == (first(item) or second(item)) == (not neither(item))


@given(first=st.integers(2014, 2027), last=st.integers(2014, 2027))
@settings(max_examples=30, deadline=None)
def test_a_year_range_includes_both_ends(first: int, last: int) -> None:
    test = from_parameters({"year": [f"{first},{last}"]})
    for item in ORGANISMS.occurrences(1)[::7]:
        assert test(item) == (first <= item.date.year <= last)
