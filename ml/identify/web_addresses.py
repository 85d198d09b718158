"""Which addresses photographs are fetched from: none that leads into this machine or the network around it.

The rules are those of the pipeline's fetcher. A host is judged by what its name resolves to at the moment of
connecting, and the connection goes to exactly the judged addresses; numeric hosts are judged before the request.
"""

import ipaddress
import re
import socket
from typing import Final

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from ml.errors import PhotoError

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE | re.ASCII)
_LONGEST_NAME: Final = 253
_HINT: Final = "; `--allow-private-hosts` allows it"

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class BlockedHostError(OSError):
    """A host that is not reached. An OSError, because aiohttp reports those of a resolver."""


def checked(text: str, *, allow_private: bool) -> URL:
    """Parse an address, and refuse what can be refused without a look-up.

    Args:
        text: An absolute address.
        allow_private: Whether private, loopback and link-local hosts may be reached.

    Raises:
        PhotoError: not http(s), no host or an impossible one, credentials inside, or a numeric host that is not public.
    """
    try:
        address = URL(text)
        # It is decoded only now, and may not decode.
        host = address.host
        numeric = None if host is None else _numeric(host)
    except (ValueError, TypeError, OSError) as error:
        raise PhotoError(f"not an address: {error}") from error
    if address.scheme not in {"http", "https"}:
        raise PhotoError(f"an address of the kind {address.scheme[:20]}: only http and https are fetched")
    if not host:
        raise PhotoError("an address without a host")
    if address.user is not None or address.password is not None:
        raise PhotoError("an address that carries a name or a password is not fetched")
    if numeric is None and not _is_name(address.raw_host or ""):
        raise PhotoError("the address names a host that cannot exist")
    if numeric is not None and not allow_private and not is_public(numeric):
        raise PhotoError(f"{host} is no public address{_HINT}")
    return address


def is_public(address: IPAddress) -> bool:
    """Whether an IP address belongs to the public internet.

    An IPv6 address that carries an IPv4 address (mapped, compatible, 6to4, NAT64) is judged by that.
    """
    if isinstance(address, ipaddress.IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return is_public(carried)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class GuardedResolver(ThreadedResolver):
    """Resolves host names, and hands out public addresses only. Made inside a running event loop."""

    def __init__(self, *, allow_private: bool) -> None:
        """Allow private, loopback and link-local addresses, or not."""
        super().__init__()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host` that may be reached.

        Raises:
            BlockedHostError: the host has private addresses only.
            OSError: the host is unknown.
        """
        found = await super().resolve(host, port, family)
        if self._allow_private:
            return found
        reachable = [result for result in found if is_public(ipaddress.ip_address(result["host"].split("%")[0]))]
        if found and not reachable:
            raise BlockedHostError(f"{host} leads to {found[0]['host']}, which is no public address{_HINT}")
        return reachable


def _is_name(host: str) -> bool:
    return len(host.rstrip(".")) <= _LONGEST_NAME and _NAME.fullmatch(host) is not None


def _numeric(host: str) -> IPAddress | None:
    """The IP address that a host consists of, in any spelling that reaches a socket unresolved; None for a name."""
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("it names a network interface")
        return address
    if host.replace(".", "").isdigit():
        # inet_aton reads the decimal, octal and shortened spellings that a socket would: 2130706433, 0177.1, 127.1.
        return ipaddress.IPv4Address(socket.inet_aton(host))
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
