"""One request for one photograph: its body, or a typed reason why there is none. Retries are decided by the caller."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from ml.web_addresses import BlockedAddressError, GuardedResolver, checked_address
from pipeline.config.settings import PhotoSettings
from pipeline.fetching.addresses import host_of
from pipeline.fetching.encodings import DamagedBodyError, UnknownEncodingError, decoded
from pipeline.fetching.hosts import Patience
from pipeline.politeness import retry_after, user_agent

MOST_REDIRECTS: Final = 5
LONGEST_HEADER: Final = 1 << 16
"""Bytes of one header of an answer; policies and cookies of many kilobytes occur."""
DOUBTFUL: Final = "a doubtful body"
"""The kind of a `TransientError`: the host answered well, but what came is perhaps not what it has."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 420, 425, 429, 500, 502, 503, 504})
_GONE: Final = frozenset({401, 403, 404, 410, 451})
"""Not there for us: iNaturalist's bucket answers 403 for a photograph that was deleted or is not open data."""


def opened_session(
    photos: PhotoSettings, *, hosts: Mapping[str, tuple[str, int]], patience: Patience
) -> aiohttp.ClientSession:
    """A session for `Getter`, inside a running event loop; it is to be closed.

    Args:
        photos: The section `photos` of the settings.
        hosts: Hosts that are reached at a fixed IP address and port, by name, although it may be private.
        patience: How long to wait for connections.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        resolver=GuardedResolver(hosts=hosts, allow_private=photos.allow_private_hosts),
        ttl_dns_cache=300,
    )
    headers = {
        "User-Agent": user_agent(photos.contact),
        "Accept": "image/jpeg",
        # A compressed answer could unfold to any size; JPEG gains nothing from it.
        "Accept-Encoding": "identity",
    }
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect),
        headers=headers,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=LONGEST_HEADER,
        max_field_size=LONGEST_HEADER,
    )


class PermanentError(Exception):
    """The photograph cannot be had by asking again soon."""

    def __init__(self, status: str, message: str, *, http_status: int | None = None) -> None:
        """`status` is the ledger's."""
        super().__init__(message)
        self.status = status
        self.http_status = http_status


class TransientError(Exception):
    """Asking again may help."""

    def __init__(self, message: str, *, kind: str, http_status: int | None = None, pause: float | None = None) -> None:
        """`kind` is for counting: status, `timeout`, `connection`, `DOUBTFUL`; `pause`: seconds that was asked for."""
        super().__init__(message)
        self.kind = kind
        self.http_status = http_status
        self.pause = pause


@dataclass(kw_only=True, slots=True)
class Exchange:
    """What one `Getter.get` has come to, however it ended."""

    host: str
    """The host that was asked last: the photograph's own, or one that it redirected to."""
    sent_at: float | None = None
    """When the last request was sent (`time.monotonic`); None before the first."""
    replied: bool = False
    """Whether any host answered, if only by a redirect."""
    received: int = 0
    """Bytes of the body that came in, also of one that broke off."""
    answered_at: float | None = None
    """When the body began (`time.monotonic`); None before that."""
    sized: bool = True
    """Whether the answer says where its body ends; without that, a body that was cut looks like a whole one."""

    @property
    def authority(self) -> str | None:
        """The host that was asked last, as an address writes it; None where none was."""
        if self.sent_at is None:
            return None
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True, kw_only=True)
class Getter:
    """Gets bodies within limits."""

    session: aiohttp.ClientSession
    max_bytes: int
    allow_private: bool
    patience: Patience
    admitted: Callable[[str], AbstractAsyncContextManager[None]]
    """Holds the place of one request to a host, redirects included; entered when the host may be asked.

    It may raise `hosts.ClosedError`."""
    received: Callable[[str, int], None]
    """Called with the host and the bytes of each body, also of one that was refused or broke off."""

    async def get(self, address: str, exchange: Exchange) -> bytes:
        """The body at `address`, of at most `max_bytes`; `exchange` is kept up to date.

        Redirects are followed by hand: each target is judged like the first address.

        Raises:
            PermanentError: blocked, gone or too_large, or an answer that makes no sense (failed).
            TransientError: 429, 5xx, a timeout, or a connection that broke.
            ClosedError: it leads to a host that is left alone.
        """
        try:
            target = checked_address(address, allow_private=self.allow_private)
            for _ in range(MOST_REDIRECTS + 1):
                host = host_of(target)
                async with self.admitted(host), asyncio.timeout(self.patience.first_byte) as limit:
                    exchange.host, exchange.sent_at = host, time.monotonic()
                    async with self.session.get(target, allow_redirects=False) as response:
                        exchange.replied = True
                        if response.status == 200:
                            return await self._body(response, exchange, limit)
                        target = _redirected(response, allow_private=self.allow_private)
        except BlockedAddressError as error:
            raise PermanentError("blocked", str(error)) from error
        except aiohttp.InvalidURL as error:
            raise PermanentError("blocked", f"not an address: {error}") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, BlockedAddressError):
                raise PermanentError("blocked", str(error.os_error)) from error
            raise TransientError(f"no connection: {error}", kind="connection") from error
        except TimeoutError as error:
            problem = f"no answer in time: {str(error) or self._late(exchange)}"
            raise TransientError(problem, kind="timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            problem = f"the connection broke: {type(error).__name__}: {error}"
            raise TransientError(problem, kind="connection") from error
        except ValueError as error:
            # Addresses and headers that pass for text but cannot be sent or read.
            raise PermanentError("blocked", f"it cannot be asked for: {type(error).__name__}: {error}") from error
        raise PermanentError("failed", f"more than {MOST_REDIRECTS} redirects")

    async def _body(self, response: aiohttp.ClientResponse, exchange: Exchange, limit: asyncio.Timeout) -> bytes:
        if (response.content_length or 0) > self.max_bytes:
            problem = f"{response.content_length} bytes are announced, more than max_bytes = {self.max_bytes}"
            raise PermanentError("too_large", problem, http_status=200)
        chunks: list[bytes] = []
        size = 0
        exchange.answered_at = time.monotonic()
        exchange.sized = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
        loop = asyncio.get_running_loop()
        whole = loop.time() + self.patience.whole
        try:
            limit.reschedule(min(whole, loop.time() + self.patience.silence))
            while chunk := await response.content.readany():
                limit.reschedule(min(whole, loop.time() + self.patience.silence))
                chunks.append(chunk)
                size += len(chunk)
                if size > self.max_bytes:
                    problem = f"the body is larger than max_bytes = {self.max_bytes}"
                    raise PermanentError("too_large", problem, http_status=200)
        finally:
            exchange.received = size
            self.received(exchange.host, size)
        return self._decoded(b"".join(chunks), response.headers.get("Content-Encoding", ""))

    def _decoded(self, body: bytes, encoding: str) -> bytes:
        """The body without a content encoding, which was not asked for."""
        try:
            body = decoded(body, encoding, most=self.max_bytes)
        except UnknownEncodingError as error:
            raise PermanentError("failed", str(error), http_status=200) from error
        except DamagedBodyError as error:
            raise TransientError(str(error), kind=DOUBTFUL, http_status=200) from error
        if len(body) > self.max_bytes:
            problem = f"the body unfolds to more than max_bytes = {self.max_bytes}"
            raise PermanentError("too_large", problem, http_status=200)
        return body

    def _late(self, exchange: Exchange) -> str:
        """What has taken too long."""
        if exchange.answered_at is None:
            return f"no first byte within {self.patience.first_byte:g} s"
        if time.monotonic() - exchange.answered_at >= self.patience.whole:
            return f"the body was not whole within {self.patience.whole:g} s"
        return f"nothing came for {self.patience.silence:g} s"


def _redirected(response: aiohttp.ClientResponse, *, allow_private: bool) -> URL:
    """Where an answer other than 200 leads.

    Raises:
        PermanentError: nowhere.
        TransientError: nowhere at the moment.
        BlockedAddressError: to where the fetcher must not go.
    """
    status = response.status
    problem = f"answered {status} {response.reason or ''}".strip()
    location = response.headers.get("Location")
    if status in _REDIRECTS and location:
        try:
            joined = response.url.join(URL(location))
        except ValueError as error:
            raise BlockedAddressError(f"the redirect to {location[:200]!r} is not an address: {error}") from error
        return checked_address(str(joined), allow_private=allow_private)
    if status in _TRANSIENT or status >= 500:
        pause = retry_after(response.headers.get("Retry-After"))
        raise TransientError(problem, kind=str(status), http_status=status, pause=pause)
    raise PermanentError("gone" if status in _GONE else "failed", problem, http_status=status)
