"""One server for the tests that do not change it."""

from collections.abc import Iterator

import pytest

from tests.ml.page.page_server import Running, released, serving


@pytest.fixture(scope="session")
def page() -> Iterator[Running]:
    """A server of the tiny registered version."""
    with serving(released()) as running:
        yield running
