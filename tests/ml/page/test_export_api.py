"""Answers as files, handed out by the page's server."""

import csv
import io
import json
import zipfile
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.ml.page.page_server import Running
from tests.ml.specificity_fixtures import photograph_bytes


@pytest.fixture(scope="module")
def answers(page: Running) -> list[dict[str, Any]]:
    files = [("images", ("a.jpg", photograph_bytes())), ("images", ("b.jpg", b"text"))]
    asked = page.client.post("/api/identify", files=files, data={"question": '{"threshold": 0.2}'})
    found: list[dict[str, Any]] = asked.json()["answers"]
    return found


def exported(page: Running, answers: list[dict[str, Any]], name: str, **others: object) -> bytes:
    answer = page.client.post(f"/api/export/{name}", json={"answers": answers, **others})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith('attachment; filename="naturewatch')
    return answer.content


def test_tables_have_a_row_for_each_photograph(page: Running, answers: list[dict[str, Any]]) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(page, answers, "csv").decode())))
    assert [(row["photo"], row["taxon"]) for row in rows] == [("a.jpg", "Nestor meridionalis"), ("b.jpg", "")]
    assert rows[1]["error"] == answers[1]["error"]
    table = pq.read_table(io.BytesIO(exported(page, answers, "parquet")))
    assert table["photo"].to_pylist() == ["a.jpg", "b.jpg"]


def test_lines_of_json_are_the_answers_themselves(page: Running, answers: list[dict[str, Any]]) -> None:
    assert [json.loads(line) for line in exported(page, answers, "jsonl").splitlines()] == answers


def test_formats_of_the_field_name_the_model(page: Running, answers: list[dict[str, Any]]) -> None:
    timelapse = json.loads(exported(page, answers, "timelapse"))
    assert [image["file"] for image in timelapse["images"]] == ["a.jpg", "b.jpg"]
    archive = zipfile.ZipFile(io.BytesIO(exported(page, answers, "darwin-core")))
    assert any("models:/tiny/1" in archive.read(name).decode() for name in archive.namelist())


def test_what_a_format_needs_is_asked_for(page: Running, answers: list[dict[str, Any]]) -> None:
    refused = page.client.post("/api/export/camtrap-dp", json={"answers": answers})
    assert refused.status_code == 422
    assert "contributors" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "no list of answers"),
        (b"[" * 100_000, "no list of answers"),
        (b"{}", "answers: Field required"),
        (b'{"answers": [{"photo": 1}]}', "no list of answers"),
        (b'{"answers": [{"photo": "a", "taxon": "b"}]}', "no list of answers"),
        (b'{"answers": [], "others": 1}', "others"),
        (b'{"answers": [], "options": {"base": "/etc"}}', "opens no files"),
        (b'{"answers": [], "options": {"bas": "/etc"}}', "no option of an export"),
    ],
)
def test_what_are_no_answers(page: Running, body: bytes, says: str) -> None:
    refused = page.client.post("/api/export/timelapse", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422
    assert says in refused.json()["detail"]


def test_there_are_no_other_formats(page: Running) -> None:
    refused = page.client.post("/api/export/exe", json={"answers": []})
    assert refused.status_code == 404
    assert "darwin-core" in refused.json()["detail"]
    assert page.client.post("/api/export/csv", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
