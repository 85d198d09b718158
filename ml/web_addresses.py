"""Which web addresses may be reached: for the pipeline's fetcher and for `naturewatch identify` alike.

The address of a photograph comes from outside and is hostile until shown otherwise: it must not lead into the network
that this machine is in. A host name is judged by what it resolves to at the moment of connecting, and the connection
goes to exactly the judged addresses, so that a name cannot change its mind in between. aiohttp does not resolve numeric
hosts; those are judged before the request.
"""

import ipaddress
import re
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE | re.ASCII)
"""A host name as it is looked up; underscores and hyphens at the ends occur."""
_LONGEST_NAME: Final = 253

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NO_HOSTS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType({})


class BlockedAddressError(OSError):
    """An address that must not be reached. An OSError, because aiohttp reports those of a resolver."""


class PrivateAddressError(BlockedAddressError):
    """It leads into this machine or the network around it."""


def is_public(address: Address) -> bool:
    """Whether an IP address belongs to the public internet.

    An IPv6 address that carries an IPv4 address (mapped, compatible, 6to4, NAT64) is judged by both.
    """
    if isinstance(address, ipaddress.IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return is_public(carried)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def checked_address(text: str, *, allow_private: bool) -> URL:
    """Parse the address of a photograph and refuse what can be refused without a look-up.

    Args:
        text: An absolute address.
        allow_private: Whether private, loopback and link-local addresses may be reached.

    Raises:
        BlockedAddressError: not http(s), no host or an impossible one, or credentials inside.
        PrivateAddressError: a numeric host that is not public.
    """
    try:
        address = URL(text)
        # It is decoded only now, and may not decode.
        host = address.host
    except (ValueError, TypeError) as error:
        raise BlockedAddressError(f"{text[:200]!r} is not an address: {error}") from error
    if address.scheme not in {"http", "https"}:
        raise BlockedAddressError(f"{text[:200]!r} is neither http nor https")
    if not host:
        raise BlockedAddressError(f"{text[:200]!r} names no host")
    if address.user is not None or address.password is not None:
        raise BlockedAddressError(f"an address of {address.host} carries credentials")
    numeric = _numeric(host)
    if numeric is None and not _is_name(address.raw_host or ""):
        raise BlockedAddressError(f"{text[:200]!r} names a host that cannot exist")
    if numeric is not None and not allow_private and not is_public(numeric):
        raise PrivateAddressError(f"{address.host} is the private address {numeric}")
    return address


class GuardedResolver(AbstractResolver):
    """Resolves host names, and hands out public addresses only."""

    def __init__(
        self,
        *,
        hosts: Mapping[str, tuple[str, int]] = NO_HOSTS,
        allow_private: bool = False,
        inner: AbstractResolver | None = None,
    ) -> None:
        """Inside a running event loop.

        Args:
            hosts: Hosts that are reached at a fixed IP address and port whatever the rules say, by name.
            allow_private: Whether private, loopback and link-local addresses may be reached.
            inner: What resolves all other names; default getaddrinfo in a thread.
        """
        self._hosts = {name.lower(): place for name, place in hosts.items()}
        self._allow_private = allow_private
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host` that may be reached.

        Raises:
            PrivateAddressError: the host has private addresses only.
            OSError: the host is unknown.
        """
        place = self._hosts.get(host.lower())
        if place is not None:
            kind = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
            return [
                ResolveResult(
                    hostname=host, host=place[0], port=place[1], family=kind, proto=0, flags=socket.AI_NUMERICHOST
                )
            ]
        found = await self._inner.resolve(host, port, family)
        if self._allow_private:
            return found
        reachable = [result for result in found if is_public(ipaddress.ip_address(result["host"]))]
        if found and not reachable:
            places = ", ".join(sorted({result["host"] for result in found}))
            raise PrivateAddressError(f"{host} resolves to the private address {places}")
        return reachable

    async def close(self) -> None:
        """Release what the inner resolver holds."""
        await self._inner.close()


def _is_name(host: str) -> bool:
    return len(host.rstrip(".")) <= _LONGEST_NAME and _NAME.fullmatch(host) is not None


def _numeric(host: str) -> Address | None:
    """The IP address that a host consists of, in any spelling that reaches a socket unresolved; None for a name."""
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError as error:
            raise BlockedAddressError(f"{host[:200]!r} is not a host: {error}") from error
        if address.scope_id is not None:
            raise BlockedAddressError(f"{host[:200]!r} names a network interface")
        return address
    if host.replace(".", "").isdigit():
        # inet_aton reads the decimal, octal and shortened spellings that a socket would: 2130706433, 0177.1, 127.1.
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeError) as error:
            raise BlockedAddressError(f"{host[:200]!r} is not a host: {error}") from error
    return None


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 address, where a gateway or the kernel would go on to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or address in _IPV4_COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
