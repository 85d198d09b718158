"""Photographs from addresses, over real HTTP: limits of bytes and time, hosts that are refused, what is said."""

from collections.abc import Iterator

import pytest

from ml import web_addresses
from ml.errors import PhotoError
from ml.identify.downloads import Downloads, Limits
from tests.ml.identify.conftest import PhotoSite
from tests.ml.specificity_fixtures import photograph_bytes


@pytest.fixture
def downloads() -> Iterator[Downloads]:
    fetching = Downloads(allow_private=True, limits=Limits(seconds=1.5, silence=0.4, most_bytes=300_000))
    yield fetching
    fetching.close()


def test_a_photograph_is_fetched_by_somebody_who_says_who_it_is(downloads: Downloads, site: PhotoSite) -> None:
    assert downloads.get(site.address("/photo")) == photograph_bytes()
    assert downloads.get(site.address("/to//photo")) == photograph_bytes()
    assert [path for path, _ in site.asked] == ["/photo", "/to//photo", "/photo"]
    assert all(headers["User-Agent"].startswith("NatureWatch/") for _, headers in site.asked)
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in site.asked)


def test_a_host_that_is_busy_is_asked_again(downloads: Downloads, site: PhotoSite) -> None:
    assert downloads.get(site.address("/busy")) == photograph_bytes()
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "the host answered 404"),
        ("/page", "not a photograph in one of the formats .*: the file is HTML or XML"),
        ("/endless", "more bytes than the 300,000 that are fetched"),
        ("/stall", "the host said nothing|it took longer than 1.5 seconds"),
        ("/drip", "it took longer than 1.5 seconds"),
        ("/to/ftp://example.org/a.jpg", "neither http nor https"),
        ("/to/http://u:p@example.org/", "carries credentials"),
    ],
)
def test_what_is_no_photograph_ends_with_a_reason(
    downloads: Downloads, site: PhotoSite, path: str, reason: str
) -> None:
    with pytest.raises(PhotoError, match=reason):
        downloads.get(site.address(path))
    # What the buffers of two sockets hold, and no more.
    assert site.sent < 20_000_000


def test_a_circle_of_redirects_ends(downloads: Downloads, site: PhotoSite) -> None:
    circle = site.address("/to/")
    with pytest.raises(PhotoError, match="redirected more than 5 times"):
        downloads.get(circle + circle + circle + circle + circle + circle + circle + site.address("/photo"))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1/a.jpg", "private address 127.0.0.1; `--allow-private-hosts` allows it"),
        ("http://localhost:9/a.jpg", "localhost resolves to the private address"),
        ("http://2130706433/a.jpg", "private address"),
        ("http://0177.1/a.jpg", "private address"),
        ("http://10.1.2.3/a.jpg", "private address"),
        ("http://169.254.169.254/latest/meta-data", "private address"),
        ("http://[::1]/a.jpg", "private address"),
        ("http://[::ffff:192.168.0.1]/a.jpg", "private address"),
        ("http://[64:ff9b::7f00:1]/a.jpg", "private address"),
        ("http://[fe80::1%25eth0]/a.jpg", "names a network interface"),
        ("http://no host/a.jpg", "cannot exist|not an address"),
        ("http:///a.jpg", "names no host|not an address"),
        ("file:///etc/passwd", "neither http nor https"),
        ("http://[", "not an address"),
    ],
)
def test_what_leads_into_this_network_is_refused(address: str, reason: str) -> None:
    guarded = Downloads(limits=Limits(seconds=5))
    with pytest.raises(PhotoError, match=reason):
        guarded.get(address)
    guarded.close()


def test_a_redirect_into_this_network_is_refused(site: PhotoSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 stands for a public host, and 127.0.0.2 for one of this network."""
    judged = web_addresses.is_public
    monkeypatch.setattr(web_addresses, "is_public", lambda ip: str(ip) == "127.0.0.1" or judged(ip))
    guarded = Downloads(limits=Limits(seconds=5))
    assert guarded.get(site.address("/photo")) == photograph_bytes()
    with pytest.raises(PhotoError, match=r"127\.0\.0\.2 is the private address"):
        guarded.get(site.address("/to/" + site.address("/photo", host="127.0.0.2")))
    assert len(site.asked) == 2
    guarded.close()
