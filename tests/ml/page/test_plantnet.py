"""Pl@ntNet's wire format."""

import pytest

from tests.ml.page.page_server import Running
from tests.ml.specificity_fixtures import photograph_bytes

PHOTO = ("images", ("a.jpg", photograph_bytes()))


def test_species_are_listed_as_plantnets_clients_read_them(page: Running) -> None:
    asked = {"lang": "en", "nb-results": "2", "no-reject": "true", "api-key": "any", "include-related-images": "true"}
    answered = page.client.post("/v2/identify/all", files=[PHOTO], data={"organs": "leaf"}, params=asked)
    assert answered.status_code == 200
    found = answered.json()
    assert found["query"] == {
        "project": "all", "images": ["a.jpg"], "organs": ["leaf"], "includeRelatedImages": True, "noReject": True,
        "type": None,
    }  # fmt: skip
    first, second = found["results"]
    assert first["score"] > second["score"]
    assert first["species"] == {
        "scientificNameWithoutAuthor": "Nestor meridionalis",
        "scientificNameAuthorship": "",
        "scientificName": "Nestor meridionalis",
        "genus": {"scientificNameWithoutAuthor": "Nestor", "scientificNameAuthorship": "", "scientificName": "Nestor"},
        "family": {
            "scientificNameWithoutAuthor": "Strigopidae", "scientificNameAuthorship": "",
            "scientificName": "Strigopidae",
        },
        "commonNames": [],
    }  # fmt: skip
    assert first["images"] == []
    assert found["bestMatch"] == "Nestor meridionalis"
    assert (found["version"], found["language"]) == ("tiny 1", "en")
    assert found["remainingIdentificationRequests"] > 0
    assert found["naturewatch"]["top"][0]["probability"] == first["score"]


def test_several_photographs_are_one_organism(page: Running) -> None:
    answered = page.client.post("/v2/identify/k-world-flora", files=[PHOTO] * 3, params={"no-reject": "true"})
    found = answered.json()
    assert found["query"]["organs"] == ["auto"] * 3
    assert found["naturewatch"]["photos"] == ["a.jpg"] * 3
    assert "images" not in found["results"][0]


def test_where_nothing_is_sure_no_species_is_found(page: Running) -> None:
    refused = page.client.post("/v2/identify/all", files=[PHOTO])
    assert refused.status_code == 404
    assert refused.json() == {
        "statusCode": 404, "error": "Not Found", "message": "Species not found", "detail": "Species not found",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "organs", "status", "says"),
    [
        ([PHOTO] * 6, [], 422, "5 photographs at most"),
        ([PHOTO], ["leaf", "leaf"], 400, "1 images, but 2 organs"),
        ([PHOTO], ["root"], 400, "organs must be of auto, leaf"),
        ([("images", ("a.jpg", b"text"))], [], 400, "not a photograph"),
        ([("image", ("a.jpg", b"text"))], [], 422, "in the field images"),
    ],
    ids=["six", "organs", "organ", "text", "field"],
)
def test_a_refusal_has_plantnets_form(
    page: Running, files: list[tuple[str, tuple[str, bytes]]], organs: list[str], status: int, says: str
) -> None:
    refused = page.client.post("/v2/identify/all", files=files, data={"organs": organs})
    assert refused.status_code == status
    assert refused.json()["statusCode"] == status
    assert says in refused.json()["message"]


def test_addresses_are_never_fetched(page: Running) -> None:
    refused = page.client.get("/v2/identify/all", params={"images": "https://example.org/a.jpg", "organs": "leaf"})
    assert refused.status_code == 400
    assert "fetches no addresses" in refused.json()["message"]


def test_what_there_is_to_ask_for(page: Running) -> None:
    assert page.client.get("/v2/_status").json() == {"status": "ok"}
    assert page.client.get("/v2/languages").json() == ["en"]
    (project,) = page.client.get("/v2/projects").json()
    assert (project["id"], project["speciesCount"]) == ("all", 4)
    assert page.client.get("/v2/nothing").json()["statusCode"] == 404
