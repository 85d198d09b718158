"""A real server of the page in a thread of this process, over HTTP."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from ml.page.page_settings import PageSettings
from ml.page.run_page import serve
from tests.ml.specificity_fixtures import release


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers."""

    address: str
    settings: PageSettings
    client: httpx.Client


def released(**changes: Any) -> PageSettings:  # noqa: ANN401 (whatever a test changes)
    """Settings that serve the tiny registered version."""
    spec, _ = release()
    return PageSettings(
        **{"tracking_uri": spec.tracking.uri, "model_name": spec.model_name, "alias": "challenger", **changes}
    )


@contextmanager
def serving(settings: PageSettings) -> Iterator[Running]:
    """Serve at a free port of this machine while the block runs.

    Raises:
        MlError: no version can be loaded.
    """
    ready, told, ended = threading.Event(), list[str](), list[BaseException]()
    loop = asyncio.new_event_loop()
    with socket.create_server(("127.0.0.1", 0)) as bound:

        def tell(address: str) -> None:
            told.append(address)
            ready.set()

        task = loop.create_task(serve(settings, bound, ready=tell))

        def run() -> None:
            try:
                loop.run_until_complete(task)
            except BaseException as error:  # noqa: BLE001 (raised again where the block begins)
                ended.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            assert ready.wait(120)
            if not told:
                raise ended[0]
            with httpx.Client(base_url=told[0], timeout=60) as client:
                yield Running(address=told[0], settings=settings, client=client)
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join(30)
            assert not thread.is_alive()
            loop.close()
