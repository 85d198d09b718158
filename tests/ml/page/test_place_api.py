"""What the page's map asks for: coasts, where a version has learnt, and the place that a person wrote."""

import gzip
import itertools
import json
from collections.abc import Iterator

import numpy as np
import pytest

from ml.coastline import coastline
from ml.page.occurrence_cells import bounds_of, occurrence_cells
from ml.places.prior import Records
from ml.places.sites import CASES
from tests.ml.page.page_server import Running, released, serving
from tests.ml.placed import HOMES, TRAINING
from tests.ml.specificity_fixtures import photograph_bytes, release


@pytest.fixture(scope="module")
def placed() -> Iterator[Running]:
    """A server of the tiny version that knows places."""
    spec, _ = release(places=True)
    assert spec.tracking is not None
    with serving(released(tracking_uri=spec.tracking.uri)) as running:
        yield running


def records(*places: tuple[float, float], uncertainty_m: float = 30.0) -> Records:
    """Occurrences of one species."""
    latitude, longitude = np.array(places, np.float32).reshape(-1, 2).T
    count = len(latitude)
    return Records(
        latitude, longitude, np.full(count, uncertainty_m, np.float32), np.zeros(count, np.uint16),
        np.zeros(count, np.int32),
    )  # fmt: skip


def test_the_model_says_what_it_knows_of_places(placed: Running) -> None:
    model = placed.client.get("/api/model").json()
    places = model["places"]
    assert places["cases"] == list(CASES)
    assert places["occurrences"] == TRAINING * len(HOMES)
    west, south, east, north = places["bounds"]
    assert south < -45
    assert north > -37
    assert west < 171
    assert east % 360 > 175
    assert set(places["thresholds"]) == {"place", "place_and_date"}
    for table in places["thresholds"].values():
        assert table.keys() == model["thresholds"].keys()
        assert len(table["thresholds"]) == len(table["promises"]) == len(table["targets"])
        assert table["thresholds"] != model["thresholds"]["thresholds"]
    assert "photographs with their place and date" in places["thresholds"]["place_and_date"]["promises"][-1][0]


def test_the_table_of_a_case_is_the_one_that_its_answers_are_chosen_by(placed: Running) -> None:
    model = placed.client.get("/api/model").json()
    latitude, longitude, _ = HOMES[0]
    for fields, case in (({}, "place"), ({"date": "2025-01-20"}, "place_and_date")):
        question = {"place": [latitude, longitude], **fields}
        reply = placed.client.post(
            "/api/identify", files={"images": ("a.jpg", photograph_bytes())}, data={"question": json.dumps(question)}
        )
        (answer,) = reply.json()["answers"]
        assert answer["prior"]["case"] == case
        table = model["places"]["thresholds"][case]
        row = table["targets"].index(model["target"])
        assert answer["threshold"] == table["thresholds"][row][answer["group"]]
        assert answer["promise"]["text"] == table["promises"][row][answer["group"]]


def test_several_photographs_of_one_organism_share_their_place(placed: Running) -> None:
    latitude, longitude, _ = HOMES[0]
    reply = placed.client.post(
        "/api/identify",
        files=[("images", (f"{number}.jpg", photograph_bytes())) for number in range(2)],
        data={"question": json.dumps({"place": [latitude, longitude]}), "together": "true"},
    )
    (answer,) = reply.json()["answers"]
    assert answer["prior"]["case"] == "place"
    assert all("probability_alone" in taxon for taxon in answer["top"])


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_answers_with_a_place_are_saved(placed: Running, form: str) -> None:
    latitude, longitude, _ = HOMES[0]
    question = {"place": [latitude, longitude], "date": "2025-01-20"}
    reply = placed.client.post(
        "/api/identify", files={"images": ("a.jpg", photograph_bytes())}, data={"question": json.dumps(question)}
    )
    saved = placed.client.post(f"/api/export/{form}", json={"answers": reply.json()["answers"]})
    assert saved.status_code == 200, saved.text


def test_a_version_without_places_says_so(page: Running) -> None:
    assert page.client.get("/api/model").json()["places"] is None
    refused = page.client.get("/api/occurrences")
    assert (refused.status_code, refused.json()) == (404, {"detail": "this version knows no places"})


def test_cells_are_coarse_and_hold_every_occurrence(placed: Running) -> None:
    found = placed.client.get("/api/occurrences").json()
    assert found["degrees"] >= 0.5
    assert sum(count for *_, count in found["cells"]) == TRAINING * len(HOMES)
    edges = np.array(found["cells"])[:, :2] / found["degrees"]
    assert (edges == np.rint(edges)).all()


def test_a_place_that_is_less_certain_than_a_cell_is_not_shown() -> None:
    near, far = (-41.29, 174.78), (-43.9, -176.5)
    assert occurrence_cells(records(near, far))["cells"] == [[-44.0, -176.5, 1], [-41.5, 174.5, 1]]
    assert occurrence_cells(records(near, far, uncertainty_m=60_000))["cells"] == []
    # What iNaturalist hides is known to 0.2 degrees, and so is the cell that it is shown in.
    assert len(occurrence_cells(records(near, far, uncertainty_m=15_000))["cells"]) == 2


def test_a_world_of_occurrences_has_no_more_cells_than_a_map_can_show() -> None:
    everywhere = records(*itertools.product(range(-90, 91, 3), range(-180, 181, 3)))
    found = occurrence_cells(everywhere)
    assert found["degrees"] == 5
    edges = np.array(found["cells"])
    assert edges[:, 0].min() == -90
    assert edges[:, 0].max() == 85
    assert edges[:, 1].min() == -180
    assert edges[:, 1].max() == 175


@pytest.mark.parametrize(
    ("places", "bounds"),
    [
        (((-36.85, 174.76), (-46.9, 168.3)), [168, -47, 175, -36]),
        (((-36.85, 174.76), (-43.95, -176.5)), [174, -44, -176, -36]),
        (((10.5, 20.5),), [20, 10, 21, 11]),
        (((0.5, 179.5), (0.5, -179.5)), [179, 0, -179, 1]),
        ((), None),
    ],
)
def test_the_frame_is_the_shortest_way_around_the_occurrences(
    places: tuple[tuple[float, float], ...], bounds: list[float] | None
) -> None:
    assert bounds_of(records(*places)) == bounds


@pytest.mark.parametrize("text", ["-41.29, 174.78", "41.29 S, 174.78 E", "(-41.29; 174.78)"])
def test_a_place_is_read_as_people_write_it(page: Running, text: str) -> None:
    read = page.client.get("/api/place", params={"text": text}).json()
    assert read == {"place": [-41.29, 174.78], "problem": None}


def test_what_is_no_place_is_told(page: Running) -> None:
    read = page.client.get("/api/place", params={"text": "174.78, -41.29"}).json()
    assert read["place"] is None
    assert "did you mean -41.29,174.78?" in read["problem"]


def test_the_coastline_comes_whole_compressed_and_is_kept_by_browsers(page: Running) -> None:
    packed = page.client.get("/coastline.json", headers={"accept-encoding": "gzip"})
    plain = page.client.get("/coastline.json", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert len(gzip.compress(plain.content, mtime=0)) < 160_000
    assert "max-age=86400" in packed.headers["cache-control"]
    world, unit = coastline(), plain.json()["unit"]
    for sent, lines in ((plain.json()["land"], world.land), (plain.json()["borders"], world.borders)):
        for steps, line in zip(sent, lines, strict=True):
            assert np.cumsum(np.reshape(steps, (-1, 2)), axis=0) / unit == pytest.approx(line)
