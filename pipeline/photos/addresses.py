"""Which addresses the fetcher may connect to. Media addresses come from outside and are hostile until shown otherwise.

Names are judged when they are resolved, on the very addresses that are connected to, so that a name cannot point
elsewhere between the check and the connection.
"""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BlockedError(Exception):
    """An address lies in a private, loopback, link-local or reserved network, or is no http(s) address."""


class GuardedResolver(AbstractResolver):
    """Resolves names, refuses what is not public, and sends the given hosts to their fixed address.

    Args:
        hosts: Host name to (IP address, port): reached there and nowhere else.
        allow_private: Let every address pass.
    """

    def __init__(self, *, hosts: Mapping[str, tuple[str, int]], allow_private: bool) -> None:
        self._hosts = dict(hosts)
        self._allow_private = allow_private
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As aiohttp's resolvers.

        Raises:
            BlockedError: one of the name's addresses is not public.
        """
        if host in self._hosts:
            address, fixed_port = self._hosts[host]
            return [
                ResolveResult(
                    hostname=host, host=address, port=fixed_port, family=socket.AF_INET, proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
            ]  # fmt: skip
        found = await self._resolver.resolve(host, port, family)
        if not self._allow_private:
            for result in found:
                refuse_private(result["host"], name=host)
        return found

    async def close(self) -> None:
        """Release the resolver."""
        await self._resolver.close()


def refuse_private(address: str, *, name: str) -> None:
    """Raise unless an IP address is public.

    Raises:
        BlockedError: it is private, loopback, link-local, multicast or reserved, also in IPv6 clothing.
    """
    if not is_public(ipaddress.ip_address(address.split("%", maxsplit=1)[0])):
        raise BlockedError(f"{name} is {address}, which is not a public address")


def is_public(address: Address) -> bool:
    """Whether an IP address belongs to the public internet.

    An IPv6 address that carries an IPv4 address (mapped, compatible, 6to4, Teredo, NAT64) is judged by the latter:
    that is where the kernel or a gateway would go on to.
    """
    if isinstance(address, ipaddress.IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return is_public(carried)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def check_address(url: str, *, hosts: Mapping[str, tuple[str, int]], allow_private: bool) -> URL:
    """Judge an address before it is connected to, and return it as the HTTP client reads it.

    Connections to literal IP addresses do not ask a resolver; they are judged here.

    Raises:
        BlockedError: no http(s), no usable host, a password inside, or a literal private address.
    """
    try:
        address = URL(url)
        host = address.host or ""
        # Names that DNS cannot carry (an empty label, one of more than 63 characters) end here, not in a resolver.
        host.encode("idna")
    except (ValueError, TypeError) as error:
        raise BlockedError(f"{url[:200]!r} is no address: {error}") from error
    if address.scheme not in {"http", "https"} or not host or "@" in address.raw_authority:
        raise BlockedError(f"{url[:200]!r} is not a plain http(s) address")
    if not allow_private and host not in hosts:
        literal = _literal(host)
        if literal is not None:
            refuse_private(literal, name=host)
    return address


def _literal(host: str) -> str | None:
    """The IP address that a host consists of, in any spelling that a socket would understand; None for a name.

    `inet_aton` reads decimal, octal, hexadecimal and shortened spellings: 2130706433, 0177.0.0.1, 0x7f000001, 127.1.
    """
    if ":" in host:
        return host
    try:
        return str(ipaddress.IPv4Address(socket.inet_aton(host)))
    except OSError:
        return None


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 address."""
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and (address in _NAT64 or address in _IPV4_COMPATIBLE):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner
