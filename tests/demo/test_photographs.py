"""The photo host: renderings, size variants, and what goes wrong on purpose."""

import asyncio
import io
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from demo.faults import FAULTS, FaultError, Faults
from demo.folder import Folder
from demo.organisms import Organisms
from demo.scene import PLANS, render
from demo.server import Replica
from tests.demo.replicas import Start


def photo_ids(source: Organisms) -> list[str]:
    return [one.media_id for item in source.occurrences(1) for one in item.media if one.format == "image/jpeg"]


def hit_by(fault: str, source: Organisms) -> str:
    faults = Faults((fault,))
    return next(photo_id for photo_id in photo_ids(source) if faults.of(photo_id) == fault)


def test_every_body_plan_is_drawn(organisms: Organisms) -> None:
    drawn: dict[str, str] = {}
    for item in organisms.occurrences(1):
        if item.media and item.identification.lineage[-1] and item.media[0].type == "StillImage":
            drawn.setdefault(item.identification.lineage[-1], item.media[0].media_id)
    for photo_id in list(drawn.values())[::3]:
        content = organisms.original(photo_id)
        assert content is not None
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            assert image.format == "JPEG"
            assert 400 <= max(image.size) <= 640
    plans = {species.row["plan"] for species in organisms._species.values()}
    assert plans == set(PLANS)


def test_a_photograph_has_the_same_bytes_every_time(organisms: Organisms) -> None:
    one, other = photo_ids(organisms)[:2]
    assert organisms.original(one) == Organisms().original(one)
    assert organisms.original(one) != organisms.original(other)
    traits = next(iter(organisms._species.values())).traits()
    assert render(traits, seed=1) == render(traits, seed=1) != render(traits, seed=2)


async def test_variants_have_inaturalists_sizes(start: Start, tmp_path: Path) -> None:
    Image.effect_noise((3000, 1500), 40).convert("RGB").save(tmp_path / "big.jpg")
    Image.effect_noise((60, 90), 40).convert("RGB").save(tmp_path / "small.jpg")
    table = tmp_path / "photos.csv"
    table.write_text(
        "path,kingdom,phylum,class,order,family,genus,species\n"
        "big.jpg,Fungi,Basidiomycota,A,A,A,Amanita,Amanita muscaria\n"
        "small.jpg,Fungi,Basidiomycota,A,A,A,Amanita,Amanita phalloides\n"
    )
    folder = Folder(table)
    ids = {item.identification.lineage[-1]: item.media[0].media_id for item in folder.occurrences(1)}
    client = await start(Replica(source=folder))
    for size, longest in (("original", 2048), ("large", 1024), ("medium", 500)):
        big = await (await client.get(f"/photos/{ids['Amanita muscaria']}/{size}.jpg")).read()
        with Image.open(io.BytesIO(big)) as image:
            assert image.size == (longest, longest // 2)
        small = await client.get(f"/photos/{ids['Amanita phalloides']}/{size}.jpg")
        assert await small.read() == (tmp_path / "small.jpg").read_bytes()
        assert small.content_type == "image/jpeg"


async def test_what_is_not_there_is_404(organisms: Organisms, start: Start) -> None:
    client = await start(Replica(source=organisms))
    for address in ("/photos/1/original.jpg", f"/photos/{photo_ids(organisms)[0]}/huge.jpg", "/photos/x/original.jpg"):
        assert (await client.get(address)).status == 404


async def test_pngs_and_sounds_are_what_they_say(organisms: Organisms, start: Start) -> None:
    client = await start(Replica(source=organisms))
    media = {one.format: one for item in organisms.occurrences(1) for one in item.media}
    png = await (await client.get(media["image/png"].address(""))).read()
    assert png.startswith(b"\x89PNG")
    assert (await (await client.get(media["audio/x-wav"].address(""))).read()).startswith(b"RIFF")


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(FaultError, match="unknown fault flood; known are rate_limit"):
        Faults(("flood",))


def test_each_fault_hits_a_few_photographs_and_never_two_faults_one(organisms: Organisms) -> None:
    faults = Faults(tuple(FAULTS))
    ids = photo_ids(organisms)
    hit = Counter(name for name in map(faults.of, ids) if name)
    assert set(hit) == set(FAULTS)
    assert max(hit.values()) < 0.03 * len(ids)
    for name in FAULTS:
        alone = Faults((name,))
        assert {one for one in ids if alone.of(one)} == {one for one in ids if faults.of(one) == name}


@pytest.mark.parametrize(
    ("fault", "statuses"), [("rate_limit", [429, 200]), ("unavailable", [503, 503, 200]), ("gone", [404, 404])]
)
async def test_transient_faults_wear_off(organisms: Organisms, start: Start, fault: str, statuses: list[int]) -> None:
    client = await start(Replica(source=organisms, faults=Faults((fault,))))
    address = f"/photos/{hit_by(fault, organisms)}/original.jpg"
    answers = [await client.get(address) for _ in statuses]
    assert [answer.status for answer in answers] == statuses
    if fault == "rate_limit":
        assert answers[0].headers["Retry-After"] == "1"


async def test_lasting_faults_are_what_they_say(organisms: Organisms, start: Start) -> None:
    client = await start(Replica(source=organisms, faults=Faults(("truncated", "html", "png", "private_redirect"))))
    cut = await (await client.get(f"/photos/{hit_by('truncated', organisms)}/original.jpg")).read()
    with Image.open(io.BytesIO(cut)) as image, pytest.raises(OSError, match="truncated"):
        image.load()
    page = await client.get(f"/photos/{hit_by('html', organisms)}/original.jpg")
    assert (page.status, page.content_type) == (200, "text/html")
    png = await (await client.get(f"/photos/{hit_by('png', organisms)}/original.jpg")).read()
    assert png.startswith(b"\x89PNG")
    away = await client.get(f"/photos/{hit_by('private_redirect', organisms)}/original.jpg", allow_redirects=False)
    assert (away.status, away.headers["Location"]) == (302, "http://10.0.0.1/photos/private.jpg")


async def test_a_stalled_body_never_ends(organisms: Organisms, start: Start) -> None:
    client = await start(Replica(source=organisms, faults=Faults(("stall",))))
    address = f"/photos/{hit_by('stall', organisms)}/original.jpg"
    stalled = await client.get(address, timeout=aiohttp.ClientTimeout(sock_read=0.3))
    assert stalled.status == 200
    with pytest.raises(aiohttp.SocketTimeoutError):
        await stalled.read()
    assert len(await (await client.get(address)).read()) == stalled.content_length


async def test_the_first_search_is_told_to_slow_down(organisms: Organisms, start: Start) -> None:
    client = await start(Replica(source=organisms, faults=Faults(("rate_limit",))))
    answers = [await client.get("/v1/occurrence/search", params={"limit": 0}) for _ in range(2)]
    assert [answer.status for answer in answers] == [429, 200]
    assert answers[0].headers["Retry-After"] == "1"


async def test_statistics_count_photographs_and_their_concurrency(organisms: Organisms, start: Start) -> None:
    client = await start(Replica(source=organisms))

    async def fetch(photo_id: str) -> int:
        return (await client.get(f"/photos/{photo_id}/medium.jpg")).status

    assert set(await asyncio.gather(*map(fetch, photo_ids(organisms)[:6]))) == {200}
    statistics = await (await client.get("/_replica/stats")).json()
    assert statistics["photo_requests"] == 6
    assert 2 <= statistics["max_concurrent_photos"] <= 6
