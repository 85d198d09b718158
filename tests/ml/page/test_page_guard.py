"""Who may ask the page's server, and how its answers may be used."""

from collections.abc import Iterator

import pytest

from tests.ml.page.page_server import Running, released, serving
from tests.ml.specificity_fixtures import photograph_bytes

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


@pytest.fixture(scope="module")
def open_page() -> Iterator[Running]:
    """A server that has another name, and that another site may ask."""
    settings = released(hosts=frozenset({"127.0.0.1", "garden.example"}), origins=frozenset({"https://site.example"}))
    with serving(settings) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("GET", "/static/page.js"), ("GET", "/health"), ("GET", "/api/model"), ("GET", "/metrics"),
        ("GET", "/nothing"), ("POST", "/api/identify"), ("GET", "/api/taxa?limit=0"), ("PUT", "/"),
    ],
)  # fmt: skip
def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere(page: Running, method: str, path: str) -> None:
    headers = page.client.request(method, path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "[", "a:b:c"])
def test_a_name_that_resolves_to_this_machine_is_refused(page: Running, host: str) -> None:
    refused = page.client.get("/api/model", headers={"host": host})
    assert refused.status_code == 400
    assert "--allow-host" in refused.text or refused.text == "Invalid HTTP request received."


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "[::1]"])
def test_every_name_of_this_machine_will_do(page: Running, name: str) -> None:
    assert page.client.get("/health", headers={"host": f"{name}:7860"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://", "http://127.0.0.1.evil.example", ""]
)
def test_another_sites_page_cannot_post(page: Running, origin: str) -> None:
    files = [("images", ("a.jpg", photograph_bytes()))]
    refused = page.client.post("/api/identify", files=files, headers={"origin": origin})
    assert refused.status_code == 403
    assert "--allow-origin" in refused.json()["detail"]


def test_its_own_page_can_post(page: Running) -> None:
    files = [("images", ("a.jpg", photograph_bytes()))]
    assert page.client.post("/api/identify", files=files, headers={"origin": page.address}).status_code == 200


def test_sites_and_names_that_are_allowed_may_ask(open_page: Running) -> None:
    files = [("images", ("a.jpg", photograph_bytes()))]
    named = {"host": "garden.example", "origin": "https://site.example"}
    answered = open_page.client.post("/api/identify", files=files, headers=named)
    assert answered.status_code == 200
    assert answered.headers["access-control-allow-origin"] == "https://site.example"
    asked = {**named, "access-control-request-method": "POST"}
    assert open_page.client.options("/api/identify", headers=asked).status_code == 200
    assert (
        "access-control-allow-origin" not in open_page.client.get("/health", headers={"origin": "https://x.y"}).headers
    )


@pytest.mark.parametrize(
    "path",
    [
        "/static/../run_page.py", "/static/%2e%2e/run_page.py", "/static/..%2frun_page.py", "/static//etc/passwd",
        "/examples/..%2f..%2fetc%2fpasswd.jpg", "/examples/%2fetc%2fpasswd.jpg", "/static/", "/docs", "/redoc",
        "/report",
    ],
)  # fmt: skip
def test_no_request_opens_other_files(page: Running, path: str) -> None:
    assert page.client.get(path).status_code == 404


def test_numbers_are_there_for_prometheus(page: Running) -> None:
    page.client.post("/api/identify", files=[("images", ("a.jpg", photograph_bytes())), ("images", ("b", b"text"))])
    page.client.get("/nothing")
    text = page.client.get("/metrics").text
    assert 'naturewatch_requests_total{route="/api/identify",status="200"}' in text
    assert 'naturewatch_requests_total{route="other",status="404"}' in text
    assert 'naturewatch_photographs_total{outcome="error"}' in text
    assert 'naturewatch_errors_total{kind="404"}' in text
    assert 'naturewatch_model_info{name="tiny",version="1"} 1.0' in text
    assert "naturewatch_network_seconds_count" in text
