"""Which addresses the fetcher may connect to. Media addresses come from outside and are hostile until shown otherwise.

Names are judged when they are resolved, on the very addresses that are connected to, so that a name cannot point
elsewhere between the check and the connection.
"""

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver


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
    parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is not None:
            refuse_private(str(inner), name=name)
            return
    if not parsed.is_global or parsed.is_multicast:
        raise BlockedError(f"{name} is {address}, which is not a public address")


def check_address(url: str, *, hosts: Mapping[str, tuple[str, int]], allow_private: bool) -> str:
    """Judge an address before it is connected to, and return its host.

    Connections to literal IP addresses do not ask a resolver; they are judged here.

    Raises:
        BlockedError: no http(s), no host, a password inside, or a literal private address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise BlockedError(f"{url[:200]!r} is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        raise BlockedError(f"{url[:200]!r} is not a plain http(s) address")
    if not allow_private and host not in hosts:
        try:
            ipaddress.ip_address(host.split("%", maxsplit=1)[0])
        except ValueError:
            return host
        refuse_private(host, name=host)
    return host
