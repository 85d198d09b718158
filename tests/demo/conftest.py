"""A replica running in this process, and the recorded traffic that it is shaped on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from demo.organisms import Organisms
from demo.server import Replica
from tests.demo.replicas import Client, Start


@pytest.fixture(scope="session")
def organisms() -> Organisms:
    return Organisms()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts replicas and closes them at the end."""
    clients: list[Client] = []

    async def one(replica: Replica) -> Client:
        client: Client = TestClient(TestServer(replica.application(), handler_cancellation=True, shutdown_timeout=0.2))
        await client.start_server()
        clients.append(client)
        return client

    yield one
    for client in clients:
        await client.close()


@pytest.fixture(scope="session")
def recorded(shared: Path) -> Path:
    """GBIF's recorded traffic."""
    return shared / "gbif"


@pytest.fixture(scope="session")
def labelled(shared: Path) -> Path:
    """A real list of labelled photographs."""
    return shared / "photos_small.csv"
