"""The replica answers in GBIF's shapes and words: search, download service, names."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import encode_basic_auth

from demo.gbif.facets import PredicateError, check_predicate
from demo.gbif.licences import licence_code
from demo.gbif.species import canonical_name
from demo.server import PASSWORD, USER
from tests.demo.conftest import Client, Serve
from tests.demo.replica_fixtures import GANNET, MULBERRY, SmallSource

SEARCH = "/v1/occurrence/search"
DOWNLOAD = "/v1/occurrence/download"
ACCOUNT = {"Authorization": encode_basic_auth(USER, PASSWORD)}


async def _found(client: Client, **query: str | list[str]) -> dict[str, Any]:
    pairs = [(name, value) for name, given in query.items() for value in ([given] if isinstance(given, str) else given)]
    async with client.get(SEARCH, params=pairs) as response:
        assert response.status == 200, await response.text()
        document: dict[str, Any] = await response.json()
        return document


async def _ask(client: Client, body: object) -> str:
    async with client.post(f"{DOWNLOAD}/request", json=body, headers=ACCOUNT) as response:
        assert response.status == 201
        return await response.text()


async def _finished(client: Client, key: str) -> dict[str, Any]:
    for _ in range(100):
        async with client.get(f"{DOWNLOAD}/{key}") as response:
            document: dict[str, Any] = await response.json()
        if document["status"] not in {"PREPARING", "RUNNING"}:
            return document
        await asyncio.sleep(0.02)
    pytest.fail("the download never ended")


async def test_pages_cover_every_record_once_in_a_stable_order(serve: Serve) -> None:
    client = await serve()
    pages = [await _found(client, limit="5", offset=str(offset)) for offset in (0, 5, 10)]
    assert [page["endOfRecords"] for page in pages] == [False, False, True]
    keys = [record["gbifID"] for page in pages for record in page["results"]]
    assert len(keys) == len(set(keys)) == pages[0]["count"] == 13


async def test_a_page_holds_at_most_300_records(serve: Serve) -> None:
    client = await serve(SmallSource(count=310))
    page = await _found(client, limit="1000")
    assert (page["limit"], len(page["results"]), page["count"]) == (300, 300, 311)


async def test_paging_ends_at_100000_in_the_words_of_gbif(serve: Serve) -> None:
    client = await serve()
    async with client.get(SEARCH, params={"offset": "99900", "limit": "300"}) as response:
        assert response.status == 400
        assert await response.text() == "Max offset of 100000 exceeded: 99900 + 300"


@pytest.mark.parametrize("query", [{"limit": "many"}, {"year": "new"}, {"offset": "-1"}])
async def test_numbers_that_are_none_are_refused(serve: Serve, query: dict[str, str]) -> None:
    client = await serve()
    async with client.get(SEARCH, params=query) as response:
        assert response.status == 400


async def test_filters_narrow_the_search(serve: Serve) -> None:
    client = await serve()
    for query, count in (
        ({"taxonKey": "Animalia"}, 5),
        ({"taxonKey": "Plantae"}, 7),
        ({"taxonKey": ["Animalia", "old"]}, 7),
        ({"taxonKey": "/".join(GANNET[:6])}, 5),
        ({"year": "2010,2011"}, 5),
        ({"year": "2012"}, 1),
        ({"mediaType": "StillImage"}, 12),
        ({"license": "CC_BY_NC_4_0"}, 13),
        ({"license": "CC0_1_0"}, 0),
        ({"country": "AU"}, 0),
        ({"country": "NZ", "taxonKey": "old"}, 2),
        ({"notAParameter": "x"}, 13),
    ):
        assert (await _found(client, **query))["count"] == count, query


async def test_a_synonym_carries_its_own_name_and_the_accepted_one(serve: Serve) -> None:
    client = await serve()
    record = (await _found(client, taxonKey="old"))["results"][0]
    assert (record["taxonKey"], record["taxonomicStatus"]) == ("old", "SYNONYM")
    assert record["acceptedTaxonKey"] == record["speciesKey"] == "/".join(MULBERRY)
    assert record["acceptedScientificName"] == record["species"] == "Morus alba"


async def test_a_record_that_matched_nothing_has_no_taxon_fields(serve: Serve) -> None:
    client = await serve()
    record = (await _found(client, gbifId="9000"))["results"][0]
    assert not {"taxonKey", "scientificName", "kingdom", "taxonRank"} & record.keys()
    assert record["issues"] == ["TAXON_MATCH_NONE"]
    assert record["media"] == []


async def test_media_addresses_come_from_the_request_or_from_the_public_url(serve: Serve) -> None:
    for settings, base in (({}, None), ({"public_url": "http://photos.replica.test"}, "http://photos.replica.test")):
        client = await serve(**settings)
        media = (await _found(client, limit="1"))["results"][0]["media"][0]
        assert media["identifier"] == f"{base or str(client.make_url('/')).rstrip('/')}/photos/0/original.jpg"


async def test_search_results_have_recorded_fields_only(serve: Serve, shared: Path) -> None:
    recorded: set[str] = set()
    media: set[str] = set()
    for line in (shared / "gbif" / "inat_records.jsonl").read_text().splitlines():
        record = json.loads(line)
        recorded |= record.keys()
        media |= {name for item in record["media"] for name in item}
    ours = (await _found(await serve()))["results"][0]
    assert ours.keys() - recorded == {"checklistKey"}, "only the checklist, which GBIF delivers since 2025, is added"
    assert ours["media"][0].keys() <= media


async def test_status_documents_have_recorded_fields_only(serve: Serve, whole: dict[str, object], shared: Path) -> None:
    recorded = json.loads((shared / "gbif/download/rgbif__occ_download_wait_request__56.json").read_text())["_response"]
    client = await serve()
    assert (await _finished(client, await _ask(client, whole))).keys() == recorded.keys()


async def test_a_download_is_prepared_then_run_then_there(serve: Serve, whole: dict[str, object]) -> None:
    client = await serve(step=0.15)
    key = await _ask(client, whole)
    seen: list[str] = []
    while not seen or seen[-1] != "SUCCEEDED":
        async with client.get(f"{DOWNLOAD}/{key}") as response:
            document = await response.json()
        if document["status"] not in seen:
            seen.append(document["status"])
        await asyncio.sleep(0.02)
    assert seen == ["PREPARING", "RUNNING", "SUCCEEDED"]
    assert document["totalRecords"] == 13
    assert document["downloadLink"] == str(client.make_url(f"{DOWNLOAD}/request/{key}.zip"))
    async with client.get(document["downloadLink"].removeprefix(str(client.make_url("")).rstrip("/"))) as response:
        assert len(await response.read()) == document["size"] > 0
    async with client.get(f"{DOWNLOAD}/{key}/citation") as response:
        assert (await response.text()).endswith(f"GBIF Occurrence Download https://doi.org/{document['doi']}\n")


async def test_the_user_lists_their_downloads_the_last_first(
    serve: Serve, whole: dict[str, object], shared: Path
) -> None:
    client = await serve()
    keys = [await _ask(client, whole | {"checklistKey": "abc"}), await _ask(client, whole)]
    async with client.get(f"{DOWNLOAD}/user/{USER}", params={"limit": "20"}, headers=ACCOUNT) as response:
        assert response.status == 200
        page = await response.json()
    assert [each["key"] for each in page["results"]] == keys[::-1]
    assert [each["request"].get("checklistKey") for each in page["results"]] == [None, "abc"]
    recorded = json.loads((shared / "gbif/download/rgbif__occ_download_list__0.json").read_text())["_response"]
    assert set(page) == set(recorded)
    assert set(page["results"][0]) <= {name for each in recorded["results"] for name in each}
    async with client.get(f"{DOWNLOAD}/user/{USER}", params={"limit": "1", "offset": "1"}, headers=ACCOUNT) as response:
        page = await response.json()
    assert ([each["key"] for each in page["results"]], page["endOfRecords"], page["count"]) == (keys[:1], True, 2)


async def test_the_list_of_downloads_is_the_users_own(serve: Serve) -> None:
    client = await serve()
    async with client.get(f"{DOWNLOAD}/user/{USER}") as response:
        assert response.status == 401
    async with client.get(f"{DOWNLOAD}/user/somebody", headers=ACCOUNT) as response:
        assert response.status == 403
    async with client.get(f"{DOWNLOAD}/user/{USER}", params={"limit": "many"}, headers=ACCOUNT) as response:
        assert response.status == 400


async def test_the_download_service_wants_an_account(serve: Serve, whole: dict[str, object]) -> None:
    client = await serve()
    async with client.post(f"{DOWNLOAD}/request", json=whole) as response:
        assert response.status == 401
    stranger = {"Authorization": encode_basic_auth("foobar", "x")}
    async with client.post(f"{DOWNLOAD}/request", json=whole, headers=stranger) as response:
        assert (response.status, await response.text()) == (401, "Failed to authenticate user foobar\r\n")


async def test_a_fourth_unfinished_download_is_too_many(serve: Serve, whole: dict[str, object]) -> None:
    client = await serve(step=30)
    keys = [await _ask(client, whole) for _ in range(3)]
    async with client.post(f"{DOWNLOAD}/request", json=whole, headers=ACCOUNT) as response:
        assert response.status == 420
    async with client.delete(f"{DOWNLOAD}/request/{keys[0]}", headers=ACCOUNT) as response:
        assert response.status == 204
    assert (await _finished(client, keys[0]))["status"] == "CANCELLED"
    assert len({*keys, await _ask(client, whole)}) == 4


@pytest.mark.parametrize(
    "predicate",
    [
        None,
        {"type": "resembles", "key": "YEAR", "value": "1"},
        {"type": "equals", "key": "COLOUR", "value": "red"},
        {"type": "equals", "key": "YEAR"},
        {"type": "and", "predicates": []},
        {"type": "in", "key": "YEAR", "values": "2010"},
        {"type": "not", "predicate": {"type": "greaterThan", "key": "YEAR", "value": "old"}},
    ],
)
async def test_a_bad_predicate_is_refused(serve: Serve, predicate: object) -> None:
    with pytest.raises(PredicateError):
        check_predicate(predicate)
    client = await serve()
    async with client.post(f"{DOWNLOAD}/request", json={"predicate": predicate}, headers=ACCOUNT) as response:
        assert response.status == 400


async def test_what_is_not_json_or_not_dwca_is_refused(serve: Serve, whole: dict[str, object]) -> None:
    client = await serve()
    async with client.post(f"{DOWNLOAD}/request", data=b"{", headers=ACCOUNT) as response:
        assert response.status == 400
    async with client.post(f"{DOWNLOAD}/request", json=whole | {"format": "SIMPLE_CSV"}, headers=ACCOUNT) as response:
        assert response.status == 400


async def test_an_unknown_download_was_not_found(serve: Serve) -> None:
    client = await serve()
    for path in (f"{DOWNLOAD}/foo-bar", f"{DOWNLOAD}/request/foo-bar.zip", f"{DOWNLOAD}/foo-bar/citation"):
        async with client.get(path) as response:
            assert (response.status, await response.text()) == (404, "Download was not found")


async def test_a_restarted_replica_knows_its_downloads(serve: Serve, whole: dict[str, object], tmp_path: Path) -> None:
    first = await serve(state=tmp_path, public_url="http://a.test")
    key = await _ask(first, whole)
    before = await _finished(first, key)
    second = await serve(state=tmp_path, public_url="http://a.test", release=2)
    after = await _finished(second, key)
    assert {**after, "downloadLink": ""} == {**before, "downloadLink": ""}
    other = await serve(state=tmp_path, source_name="another table")
    async with other.get(f"{DOWNLOAD}/{key}") as response:
        assert response.status == 404


async def test_the_same_request_to_a_new_replica_gets_the_same_key(serve: Serve, whole: dict[str, object]) -> None:
    assert await _ask(await serve(), whole) == await _ask(await serve(), whole)


async def test_names_are_matched_to_their_keys(serve: Serve) -> None:
    client = await serve()

    async def match(**query: str) -> dict[str, Any]:
        async with client.get("/v1/species/match", params=query) as response:
            document: dict[str, Any] = await response.json()
            return document

    assert (await match(name="Aves"))["usageKey"] == "Animalia/Chordata/Aves"
    assert (await match(name="Morus"))["matchType"] == "NONE"
    assert (await match(name="Morus", kingdom="Plantae"))["family"] == "Moraceae"
    synonym = await match(name="Morus bombycis")
    assert (synonym["synonym"], synonym["acceptedUsageKey"]) == (True, "/".join(MULBERRY))
    assert (await match(name="Nothing"))["matchType"] == "NONE"


async def test_the_one_dataset_is_described(serve: Serve) -> None:
    client = await serve()
    async with client.get("/v1/dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7") as response:
        assert (await response.json())["type"] == "OCCURRENCE"
    async with client.get("/v1/dataset/00000000-0000-0000-0000-000000000000") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("http://creativecommons.org/licenses/by-nc/4.0/", "CC_BY_NC_4_0"),
        ("https://creativecommons.org/licenses/by/2.5/", "CC_BY_4_0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0_1_0"),
        ("CC BY-NC 4.0", "CC_BY_NC_4_0"),
        ("CC_BY_4_0", "CC_BY_4_0"),
        ("http://creativecommons.org/licenses/by-nc-sa/4.0/", "UNSUPPORTED"),
        ("CC BY-SA", "UNSUPPORTED"),
        ("all rights reserved", "UNSUPPORTED"),
        ("", "UNSPECIFIED"),
    ],
)
def test_licences_become_the_enumeration_of_gbif(given: str, code: str) -> None:
    assert licence_code(given) == code


@pytest.mark.parametrize(
    ("name", "rank", "canonical"),
    [
        ("Morus alba L.", "SPECIES", "Morus alba"),
        ("Microchromis Johnson, 1975", "GENUS", "Microchromis"),
        ("Scandosorbus \N{MULTIPLICATION SIGN} intermedia (Ehrh.) Sennikov", "SPECIES", "Scandosorbus intermedia"),
        ("Bromus hordeaceus subsp. hordeaceus", "SUBSPECIES", "Bromus hordeaceus hordeaceus"),
        ("BOLD:ACD1886", "UNRANKED", "BOLD:ACD1886"),
    ],
)
def test_a_name_is_known_without_its_authorship(name: str, rank: str, canonical: str) -> None:
    assert canonical_name(name, rank=rank) == canonical
