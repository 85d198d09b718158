"""The replica registers derived datasets as GBIF does: its documents, its refusals, its list of an account's own."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import encode_basic_auth

from demo.gbif.facets import DATASET_KEY
from demo.server import PASSWORD, USER
from tests.demo.conftest import Client, Serve

PATH = "/v1/derivedDataset"
ACCOUNT = {"Authorization": encode_basic_auth(USER, PASSWORD)}
BODY: dict[str, Any] = {
    "title": "Birds", "description": "Filtered.", "sourceUrl": "https://zenodo.org/records/1",
    "relatedDatasets": {DATASET_KEY: 12},
}  # fmt: skip


async def _sent(client: Client, body: object, headers: dict[str, str] | None = None) -> tuple[int, str]:
    async with client.post(PATH, json=body, headers=ACCOUNT if headers is None else headers) as response:
        return response.status, await response.text()


async def test_a_derived_dataset_gets_a_doi_of_the_test_system_and_can_be_asked_for(serve: Serve) -> None:
    client = await serve()
    async with client.post(PATH, json=BODY, headers=ACCOUNT) as response:
        assert (response.status, response.content_type) == (201, "application/json")
        made = await response.json()
    assert made["doi"].startswith("10.21373/dd.")
    assert made["citation"].startswith("Derived dataset GBIF.org (")
    assert made["citation"].endswith(f"Filtered export of GBIF occurrence data https://doi.org/{made['doi']}")
    assert {name: made[name] for name in ("title", "description", "sourceUrl", "createdBy")} == {
        "title": "Birds", "description": "Filtered.", "sourceUrl": "https://zenodo.org/records/1", "createdBy": USER,
    }  # fmt: skip
    async with client.get(f"{PATH}/{made['doi']}") as response:
        assert await response.json() == made
    async with client.get(f"{PATH}/{made['doi']}/citation") as response:
        assert await response.text() == made["citation"]
    async with client.get(f"{PATH}/10.21373/dd.none") as response:
        assert response.status == 404
    _, text = await _sent(client, BODY)
    assert made["doi"] not in text, "each request gets one of its own"


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"title": None}, 422, "Validation of [title] failed"),
        ({"sourceUrl": "ftp://x"}, 422, "Validation of [sourceUrl] failed"),
        ({"relatedDatasets": {}}, 400, "Related datasets are required"),
        ({"relatedDatasets": {"nothing": 1}}, 400, "Invalid related datasets identifiers"),
        ({"originalDownloadDOI": "10.15468/dl.none"}, 400, "Invalid original download DOI"),
    ],
)
async def test_what_gbif_refuses_is_refused(serve: Serve, changes: dict[str, Any], status: int, said: str) -> None:
    found, text = await _sent(await serve(), BODY | changes)
    assert found == status
    assert said in text


async def test_only_the_account_registers_and_sees_its_list(serve: Serve, tmp_path: Path) -> None:
    client = await serve(state=tmp_path)
    assert (await _sent(client, BODY, {}))[0] == 401
    wrong = {"Authorization": encode_basic_auth(USER, "wrong")}
    assert await _sent(client, BODY, wrong) == (401, f"Failed to authenticate user {USER}\r\n")
    for number in range(3):
        await _sent(client, BODY | {"title": f"{number}"})
        await asyncio.sleep(0.002)
    later = await serve(state=tmp_path)
    async with later.get(f"{PATH}/user/{USER}", params={"limit": "2"}, headers=ACCOUNT) as response:
        page = await response.json()
    assert ([each["title"] for each in page["results"]], page["count"], page["endOfRecords"]) == (["2", "1"], 3, False)
    async with later.get(f"{PATH}/user/another", headers=ACCOUNT) as response:
        assert response.status == 403
    async with later.get(f"{PATH}/user/{USER}") as response:
        assert response.status == 401
