"""Types of a replica that runs in the test's own process."""

from collections.abc import Awaitable, Callable

from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from demo.server import Replica

Client = TestClient[Request, Application]
Start = Callable[[Replica], Awaitable[Client]]
