"""The photograph host serves iNaturalist's size variants."""

import io

import pytest
from PIL import Image

from demo.photos import resized
from tests.demo.conftest import Client, Serve
from tests.demo.replica_fixtures import SmallSource


async def _photograph(client: Client, path: str) -> bytes:
    async with client.get(path) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        return await response.read()


@pytest.mark.parametrize(("size", "long_side"), [("original", 2048), ("large", 1024), ("medium", 500), ("small", 240)])
async def test_each_size_bounds_the_longest_side(serve: Serve, size: str, long_side: int) -> None:
    client = await serve(SmallSource(width=1500, height=3000))
    with Image.open(io.BytesIO(await _photograph(client, f"/photos/1/{size}.jpg"))) as image:
        assert image.format == "JPEG"
        assert image.size == (long_side // 2, long_side)


async def test_what_is_small_enough_is_served_byte_for_byte(serve: Serve) -> None:
    source = SmallSource(width=500, height=400)
    client = await serve(source)
    for size in ("original", "large", "medium"):
        assert await _photograph(client, f"/photos/3/{size}.jpg") == source.photograph("3")


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_smaller_variant_is_turned_as_its_original_is(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.new("RGB", (800, 600), "green").save(stream, "JPEG", exif=exif)
    with Image.open(io.BytesIO(resized(stream.getvalue(), long_side=240))) as image:
        assert image.size == (240, 180)
        assert image.getexif()[0x0112] == orientation


def test_what_cannot_be_read_is_served_as_it_is() -> None:
    stream = io.BytesIO()
    Image.effect_noise((800, 600), 50).save(stream, "JPEG")
    for content in (stream.getvalue()[:-5000], b"\xff\xd8\xff", b"no photograph", b""):
        assert resized(content, long_side=240) == content


async def test_the_same_variant_is_the_same_bytes_on_every_port(serve: Serve) -> None:
    bodies = [
        await _photograph(await serve(SmallSource(width=900, height=700)), "/photos/2/medium.jpg") for _ in range(2)
    ]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("path", ["/photos/99/medium.jpg", "/photos/1/gigantic.jpg", "/photos/none/medium.jpg"])
async def test_what_there_is_not_is_not_found(serve: Serve, path: str) -> None:
    client = await serve()
    async with client.get(path) as response:
        assert response.status == 404


async def test_a_photograph_that_did_not_change_is_not_sent_again(serve: Serve) -> None:
    client = await serve()
    async with client.get("/photos/1/medium.jpg") as response:
        tag = response.headers["ETag"]
    async with client.get("/photos/1/medium.jpg", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")


async def test_a_photograph_can_be_taken_in_parts(serve: Serve) -> None:
    client = await serve()
    complete = await _photograph(client, "/photos/1/medium.jpg")
    async with client.get("/photos/1/medium.jpg", headers={"Range": "bytes=10-19"}) as response:
        assert (response.status, await response.read()) == (206, complete[10:20])


async def test_the_requests_are_counted(serve: Serve) -> None:
    client = await serve()
    for number in range(3):
        await _photograph(client, f"/photos/{number}/medium.jpg")
    async with client.get("/v1/occurrence/search"):
        pass
    async with client.get("/_replica/stats") as response:
        stats = await response.json()
    assert stats["photo_requests"] == 3
    assert stats["max_concurrent_photos"] == 1
    assert stats["requests"]["search"] == 1
