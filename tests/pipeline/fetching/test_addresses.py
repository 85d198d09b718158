"""Which addresses the fetcher may reach: only the public internet, however an address is spelled."""

import contextlib
import ipaddress
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from ml.web_addresses import BlockedAddressError, GuardedResolver, checked_address, is_public
from pipeline.fetching.addresses import host_of

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
]
PUBLIC = ["1.1.1.1", "52.216.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


MALFORMED = [
    "http://www..museum.example/a.jpg",
    "http://.museum.example/a.jpg",
    "http://museum.example../a.jpg",
    f"http://{'a' * 64}.example/a.jpg",
    f"http://{'a.' * 130}example/a.jpg",
    "http://xn--/a.jpg",
    "http://xn--a/a.jpg",
    "http://xn--a.example/a.jpg",
    "http://\u2024.example/a.jpg",
    "http://\u202emuseum.example/a.jpg",
    "http://museum example/a.jpg",
    "http://museum\x00.example/a.jpg",
    "http://museum%00.example/a.jpg",
    "http://museum<.example/a.jpg",
    "http://museum|x/a.jpg",
    "http://*.museum.example/a.jpg",
    "http://museum\\x.example/a.jpg",
    "http://museum.example:65536/a.jpg",
    "http://museum.example:-1/a.jpg",
    "http://museum.example:port/a.jpg",
    "http://[museum.example]/a.jpg",
    "http://[::1]x/a.jpg",
    "http://\u0663.\u0663.\u0663.\u0663/a.jpg",
]
"""Hosts that cannot exist, in all ways that a parser or a look-up trips over."""


@pytest.mark.parametrize("address", PRIVATE)
def test_the_own_network_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_inside_an_ipv6_address(address: ipaddress.IPv4Address) -> None:
    assert is_public(ipaddress.IPv6Address(f"::ffff:{address}")) == is_public(address)
    assert is_public(ipaddress.IPv6Address(f"64:ff9b::{address}")) == is_public(address)


@pytest.mark.parametrize("network", ["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"])
@given(data=st.data())
def test_no_address_of_a_private_network_passes_in_any_spelling(network: str, data: st.DataObject) -> None:
    number = int(data.draw(st.ip_addresses(network=network)))
    first, rest = number >> 24, number & 0xFFFFFF
    for host in (
        str(ipaddress.IPv4Address(number)),
        str(number),
        f"0{number:o}",
        f"{first}.{rest}",
        f"0{first:o}.{rest}",
    ):
        with pytest.raises(BlockedAddressError):
            checked_address(f"http://{host}/a.jpg", allow_private=False)


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "data:image/jpeg;base64,/9j/",
        "ftp://example.org/a.jpg",
        "gopher://example.org/",
        "//example.org/a.jpg",
        "/a.jpg",
        "a.jpg",
        "",
        "http://",
        "http:///a.jpg",
        "http://[::1",
        "http://example.org:99999/",
        "https://user:password@example.org/a.jpg",
        "https://user@example.org/a.jpg",
        *(f"http://[{address}]/a.jpg" if ":" in address else f"http://{address}/a.jpg" for address in PRIVATE),
        "http://2130706433/",
        "http://017700000001/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://1.2.3.4.5/",
        "http://99999999999/",
        "http://[fe80::1%25eth0]/",
        "http://[2606:4700::1111%25eth0]/",
        *MALFORMED,
    ],
)
def test_what_can_be_refused_without_a_look_up_is_refused(address: str) -> None:
    with pytest.raises(BlockedAddressError):
        checked_address(address, allow_private=False)


@pytest.mark.parametrize(
    "address",
    [
        "https://inaturalist-open-data.s3.amazonaws.com/photos/1/large.jpg",
        "http://1.1.1.1/a.jpg",
        "http://[2606:4700::1111]:8080/a.jpg",
        "https://example.org/a%20b.jpg?x=1",
    ],
)
def test_ordinary_addresses_pass(address: str) -> None:
    assert str(checked_address(address, allow_private=False)) == address


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://m\u00fcseum.example/a.jpg", "m\u00fcseum.example"),
        ("http://xn--mseum-kva.example/a.jpg", "m\u00fcseum.example"),
        ("http://Museum.EXAMPLE./a.jpg", "museum.example"),
        ("http://my_museum-.example:8080/a.jpg", "my_museum-.example"),
        ("HTTP://[2606:4700::1111]/a.jpg", "2606:4700::1111"),
    ],
)
def test_a_host_has_one_name_however_it_is_spelled(address: str, host: str) -> None:
    assert host_of(checked_address(address, allow_private=False)) == host


def test_private_addresses_pass_when_they_are_allowed() -> None:
    assert checked_address("http://127.0.0.1:8080/a.jpg", allow_private=True).port == 8080
    with pytest.raises(BlockedAddressError):
        checked_address("file:///etc/passwd", allow_private=True)


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    for address in (text, f"http://{text}"):
        with contextlib.suppress(BlockedAddressError):
            passed = checked_address(address, allow_private=False)
            assert passed.scheme in {"http", "https"}
            # What a look-up does first.
            assert (passed.raw_host or "").encode("idna")


class Names(AbstractResolver):
    """Resolves every name to the given addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def places(resolver: GuardedResolver, host: str = "example.org") -> list[tuple[str, int]]:
    return [(result["host"], result["port"]) for result in await resolver.resolve(host, 443)]


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_leads_into_the_own_network_is_refused(address: str) -> None:
    with pytest.raises(BlockedAddressError, match=r"example\.org resolves to the private address"):
        await places(GuardedResolver(inner=Names(address)))


async def test_of_a_name_with_both_only_the_public_addresses_are_used() -> None:
    resolver = GuardedResolver(inner=Names("10.0.0.1", "1.1.1.1", "::1"))
    assert await places(resolver) == [("1.1.1.1", 443)]


async def test_private_names_resolve_when_they_are_allowed() -> None:
    assert await places(GuardedResolver(inner=Names("10.0.0.1"), allow_private=True)) == [("10.0.0.1", 443)]


async def test_a_fixed_host_is_the_only_exception() -> None:
    resolver = GuardedResolver(hosts={"photos.test": ("127.0.0.1", 8123)}, inner=Names("127.0.0.1"))
    assert await places(resolver, "photos.test") == [("127.0.0.1", 8123)]
    assert await places(resolver, "PHOTOS.test") == [("127.0.0.1", 8123)]
    for host in ("localhost", "other.test", "photos.test.example.org", "x.photos.test"):
        with pytest.raises(BlockedAddressError):
            await places(resolver, host)


async def test_real_names_of_this_machine_are_refused() -> None:
    with pytest.raises(BlockedAddressError):
        await places(GuardedResolver(), "localhost")
    # glibc reads hexadecimal numbers as addresses.
    with pytest.raises(BlockedAddressError):
        await places(GuardedResolver(), "0x7f000001")
