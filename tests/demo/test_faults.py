"""Each named fault does what its line in the help says, to a few photographs that are always the same ones."""

import asyncio
import io

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from demo.faults import FAULTS, FEW, ONE_IN, TRANSIENT, Faults, UnknownFaultError, is_hit, parse_faults
from tests.demo.conftest import Client, Serve
from tests.demo.replica_fixtures import SmallSource


def _hit_by(fault: str) -> str:
    """The first photograph of the small world that a fault hits."""
    return next(str(number) for number in range(1000) if is_hit(fault, str(number)))


async def _client(serve: Serve, fault: str) -> tuple[Client, str]:
    client = await serve(SmallSource(count=1000), faults=frozenset({fault}))
    return client, f"/photos/{_hit_by(fault)}/medium.jpg"


@pytest.mark.parametrize(("fault", "status"), [("rate_limit", 429), ("unavailable", 503)])
async def test_a_passing_fault_strikes_once(serve: Serve, fault: str, status: int) -> None:
    client, path = await _client(serve, fault)
    async with client.get(path) as response:
        assert response.status == status
        assert response.headers.get("Retry-After") == ("1" if fault == "rate_limit" else None)
    async with client.get(path) as response:
        assert response.status == 200


async def test_a_stall_sends_a_part_and_then_nothing(serve: Serve) -> None:
    client, path = await _client(serve, "stall")
    async with client.get(path, timeout=aiohttp.ClientTimeout(sock_read=0.3)) as response:
        assert response.status == 200
        with pytest.raises(TimeoutError):
            await response.read()
        assert 0 < response.content.total_bytes < int(response.headers["Content-Length"])
    async with client.get(path) as response:
        assert len(await response.read()) == response.content_length


async def test_a_truncated_photograph_cannot_be_decoded(serve: Serve) -> None:
    client, path = await _client(serve, "truncated")
    for _ in range(2):
        async with client.get(path) as response:
            body = await response.read()
        with Image.open(io.BytesIO(body)) as image, pytest.raises(OSError, match="truncated"):
            image.load()


async def test_other_content_comes_with_status_200(serve: Serve) -> None:
    for fault, start in (("html", b"<!doctype html"), ("png", b"\x89PNG")):
        client, path = await _client(serve, fault)
        async with client.get(path) as response:
            assert response.status == 200
            assert (await response.read()).startswith(start)


async def test_a_gone_photograph_stays_gone(serve: Serve) -> None:
    client, path = await _client(serve, "gone")
    for _ in range(2):
        async with client.get(path) as response:
            assert response.status == 404


async def test_half_the_host_is_out(serve: Serve) -> None:
    client, path = await _client(serve, "outage")
    for _ in range(2):
        async with client.get(path) as response:
            assert response.status == 403


async def test_a_redirect_points_into_a_private_network(serve: Serve) -> None:
    client, path = await _client(serve, "private_redirect")
    async with client.get(path, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, f"http://10.0.0.1{path}")


async def test_the_search_is_refused_once(serve: Serve) -> None:
    client = await serve(faults=frozenset({"rate_limit"}))
    statuses = []
    for _ in range(2):
        async with client.get("/v1/occurrence/search") as response:
            statuses.append(response.status)
    assert statuses == [429, 200]


async def test_without_faults_every_photograph_arrives(serve: Serve) -> None:
    client = await serve(SmallSource(count=100))

    async def status(number: int) -> int:
        async with client.get(f"/photos/{number}/medium.jpg") as response:
            return response.status

    assert set(await asyncio.gather(*map(status, range(100)))) == {200}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_hits_a_few_and_an_outage_half(fault: str) -> None:
    hit = sum(is_hit(fault, str(number)) for number in range(3200))
    expected = 3200 / ONE_IN.get(fault, FEW)
    assert expected - 40 * expected**0.5 / 10 < hit < expected + 40 * expected**0.5 / 10


@given(st.sets(st.sampled_from(sorted(FAULTS))), st.text(alphabet="0123456789", min_size=1, max_size=12))
def test_a_photograph_suffers_one_fault_at_most_and_a_passing_one_once(names: set[str], photo_id: str) -> None:
    faults = Faults(names)
    strikes = [faults.strike(photo_id) for _ in range(3)]
    assigned = faults.assigned(photo_id)
    assert strikes == ([assigned, None, None] if assigned in TRANSIENT else [assigned] * 3)


def test_an_unknown_fault_is_named() -> None:
    assert parse_faults("html, gone") == {"html", "gone"}
    with pytest.raises(UnknownFaultError, match="flood"):
        parse_faults("html,flood")
