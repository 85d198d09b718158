"""Replicas of the small world, on real sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from demo.server import Replica
from tests.demo.replica_fixtures import SmallSource

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]


@pytest_asyncio.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a replica of a source with any of `Replica`'s settings."""
    clients: list[Client] = []

    async def start(source: SmallSource | None = None, **settings: Any) -> Client:  # noqa: ANN401
        chosen = source or SmallSource()
        replica = Replica(open_release=lambda _release: chosen, **{"step": 0.05, **settings})
        client = TestClient(TestServer(replica.application()))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


@pytest.fixture
def whole() -> dict[str, object]:
    """A download request for everything."""
    key = "50c9509d-22c7-4a22-a47d-8c48425ef4a7"
    return {"format": "DWCA", "predicate": {"type": "equals", "key": "DATASET_KEY", "value": key}}
