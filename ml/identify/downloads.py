"""Photographs fetched from addresses: politely, from public hosts only, within limits of bytes and time."""

import asyncio
import threading
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import aiohttp
import stamina
import stamina.instrumentation
from yarl import URL

from ml.errors import PhotoError
from ml.serving.inputs import SIGNATURE_BYTES, looks_like_photograph, no_photograph
from ml.web_addresses import BlockedAddressError, GuardedResolver, PrivateAddressError, checked_address

MOST_BYTES: Final = 50_000_000
"""Of a photograph from an address."""
MOST_REDIRECTS: Final = 5
AT_ONCE: Final = 8
"""Requests, and 2 of them to one host."""
ATTEMPTS: Final = 3
USER_AGENT: Final = f"NatureWatch/{version('naturewatch')} (identify; photographs that a person asked for)"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class _TransientError(Exception):
    """It may work in a moment; the message says what happened."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one photograph may take."""

    seconds: float = 60.0
    """In all: look-up, redirects, repeated requests and the body."""
    silence: float = 20.0
    """Seconds without a byte."""
    most_bytes: int = MOST_BYTES


class Downloads:
    """Fetches photographs in a thread of its own, for any number of threads that wait for them."""

    def __init__(self, *, allow_private: bool = False, limits: Limits | None = None) -> None:
        """Open a session.

        Args:
            allow_private: Whether private, loopback and link-local hosts may be reached.
            limits: For each photograph.
        """
        self._allow_private, self._limits = allow_private, limits or Limits()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="downloads", daemon=True)
        self._thread.start()
        # Its hook would print each repeated request.
        stamina.instrumentation.set_on_retry_hooks([])
        self._session = asyncio.run_coroutine_threadsafe(self._opened(), self._loop).result()

    def get(self, address: str) -> bytes:
        """The bytes of the photograph at an address.

        Raises:
            PhotoError: the address is not allowed, or does not answer in time with a photograph within the limits.
        """
        return asyncio.run_coroutine_threadsafe(self._within_time(address), self._loop).result()

    def close(self) -> None:
        """End the session and its thread."""
        asyncio.run_coroutine_threadsafe(self._session.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=AT_ONCE, limit_per_host=2, resolver=GuardedResolver(allow_private=self._allow_private)
        )
        return aiohttp.ClientSession(
            connector=connector,
            # Compressed bodies could grow without end.
            auto_decompress=False,
            headers={"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=self._limits.silence),
        )

    async def _within_time(self, text: str) -> bytes:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._patiently(checked_address(text, allow_private=self._allow_private))
        except TimeoutError as error:
            raise PhotoError(f"it took longer than {self._limits.seconds:g} seconds to fetch") from error
        except _TransientError as error:
            raise PhotoError(str(error)) from error
        except BlockedAddressError as error:
            raise _blocked(error) from error

    async def _patiently(self, address: URL) -> bytes:
        async for attempt in stamina.retry_context(
            on=_TransientError, attempts=ATTEMPTS, wait_initial=0.5, wait_max=5.0, timeout=None
        ):
            with attempt:
                return await self._followed(address)
        raise AssertionError("the last attempt returns or raises")

    async def _followed(self, address: URL) -> bytes:
        """The photograph at an address, or where that leads; each step is checked like the first."""
        for _ in range(MOST_REDIRECTS + 1):
            try:
                async with self._session.get(address, allow_redirects=False) as response:
                    if response.status not in _REDIRECTS:
                        return await self._body(response)
                    location = response.headers.get("Location", "")
            except aiohttp.ClientError as error:
                raise _reason(error) from error
            try:
                address = address.join(URL(location))
            except ValueError as error:
                raise PhotoError("redirected to what is no address") from error
            address = checked_address(str(address), allow_private=self._allow_private)
        raise PhotoError(f"redirected more than {MOST_REDIRECTS} times")

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        most = self._limits.most_bytes
        if response.status != 200:
            said = f"the host answered {response.status} {(response.reason or '')[:60]}".rstrip()
            raise _TransientError(said) if response.status in _TRANSIENT else PhotoError(said)
        if (response.content_length or 0) > most:
            raise PhotoError(f"{response.content_length:,} bytes are more than the {most:,} that are fetched")
        content, judged = bytearray(), False
        async for chunk in response.content.iter_any():
            content += chunk
            if not judged and len(content) >= SIGNATURE_BYTES:
                judged = True
                if not looks_like_photograph(bytes(content[:SIGNATURE_BYTES])):
                    break
            if len(content) > most:
                raise PhotoError(f"more bytes than the {most:,} that are fetched")
        if not looks_like_photograph(bytes(content[:SIGNATURE_BYTES])):
            raise PhotoError(no_photograph(bytes(content[:SIGNATURE_BYTES])))
        return bytes(content)


def _blocked(error: BlockedAddressError) -> PhotoError:
    hint = "; `--allow-private-hosts` allows it" if isinstance(error, PrivateAddressError) else ""
    return PhotoError(f"{error}{hint}")


def _reason(error: aiohttp.ClientError) -> Exception:
    """Why a request failed, and whether it may work in a moment."""
    if isinstance(error, TimeoutError):
        return _TransientError("the host said nothing for too long")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        if isinstance(error.os_error, BlockedAddressError):
            return _blocked(error.os_error)
        return PhotoError(f"the host {error.host} is unknown")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return PhotoError(f"no trusted connection: {error}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _TransientError(f"no connection to {error.host}: {error.os_error.strerror or error.os_error}")
    return _TransientError(f"the host broke off ({type(error).__name__})")
