"""One polite HTTP client for GBIF's API. The only place where calls to GBIF are retried.

What is asked for belongs to `pipeline.gbif.source`; photographs are fetched by `pipeline.photos`.
"""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import requests
import stamina

from pipeline.errors import GbifError

TIMEOUT: Final = (10.0, 120.0)
"""Seconds to connect, and to wait for the next byte: GBIF may take a minute to begin an answer."""
TRANSIENT: Final = frozenset({420, 429, 500, 502, 503, 504})
"""Statuses worth another try: 420 is GBIF's "three downloads are running", 429 "slower"."""
ATTEMPTS: Final = 10
CHUNK: Final = 1 << 16
"""Bytes written at a time; a broken connection loses at most this much."""
LONGEST_WAIT: Final = 300.0
"""Seconds; also the longest Retry-After that is waited for."""

Parameters = Mapping[str, str | int | Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """An account on gbif.org. The password never appears in a log or an error."""

    user: str
    password: str = field(repr=False)
    email: str

    @classmethod
    def from_environment(cls) -> Self:
        """Read `GBIF_USER`, `GBIF_PASSWORD` and `GBIF_EMAIL`.

        Raises:
            GbifError: one of them is missing.
        """
        names = ("GBIF_USER", "GBIF_PASSWORD", "GBIF_EMAIL")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise GbifError(
                f"a GBIF download needs {', '.join(missing)} in the environment; make an account on gbif.org, "
                "or use source.mode search for a small scope"
            )
        user, password, email = (os.environ[name] for name in names)
        return cls(user=user, password=password, email=email)


class NotFoundError(GbifError):
    """GBIF does not know what was asked for."""


class _TransientError(GbifError):
    """GBIF asked to come back later."""

    def __init__(self, message: str, *, wait: float | None) -> None:
        super().__init__(message)
        self.wait = wait


class Api:
    """GBIF's API at one address.

    Args:
        url: For example `https://api.gbif.org/v1`.
        credentials: For asking for downloads; reading needs none.
        contact: An address for GBIF's operators, sent in the User-Agent.
        poll_seconds: First and longest pause between two questions about a download's status.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        contact: str = "",
        poll_seconds: tuple[float, float] = (10.0, 60.0),
    ) -> None:
        self.url = url.rstrip("/")
        self.credentials = credentials
        self.poll_seconds = poll_seconds
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"NatureWatch/{version('naturewatch')} (+{contact})"

    def get_json(self, path: str, parameters: Parameters | None = None) -> Any:  # noqa: ANN401
        """The JSON answer of a GET request.

        Raises:
            GbifError: GBIF refused, or did not answer after several attempts.
        """
        response = self._send("GET", path, params=parameters)
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise GbifError(f"{response.url} answered {response.text[:200]!r} where JSON was expected") from error

    def get_text(self, path: str) -> str:
        """The text answer of a GET request, as `get_json`."""
        return self._send("GET", path).text

    def post_json(self, path: str, body: Mapping[str, object]) -> str:
        """Send JSON with the account's credentials and return the answer's text.

        Raises:
            GbifError: as `get_json`, or there are no credentials.
        """
        if self.credentials is None:
            raise GbifError("asking GBIF for a download needs credentials")
        return self._send("POST", path, json=body, auth=(self.credentials.user, self.credentials.password)).text

    def download(self, address: str, target: Path) -> None:
        """Append the body of an address to `target`, from the byte where it ends now.

        A host that does not serve ranges starts from the beginning, and so does the file.

        Raises:
            GbifError: as `get_json`.
        """
        with _named(self._address(address)):
            for attempt in _attempts():
                with attempt:
                    self._download_once(address, target)

    def _download_once(self, address: str, target: Path) -> None:
        offset = target.stat().st_size if target.exists() else 0
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        request = self._session.get(self._address(address), headers=headers, stream=True, timeout=TIMEOUT)
        with request as response:
            if response.status_code == 416:
                # Nothing lies beyond the bytes that are here already.
                return
            resumed = _checked(response).status_code == 206
            with target.open("ab" if resumed else "wb") as stream:
                for chunk in response.iter_content(CHUNK):
                    stream.write(chunk)

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:  # noqa: ANN401
        with _named(self._address(path)):
            for attempt in _attempts():
                with attempt:
                    return _checked(self._session.request(method, self._address(path), timeout=TIMEOUT, **arguments))
        raise AssertionError("stamina returns or raises")  # pragma: no cover

    def _address(self, path: str) -> str:
        return path if path.startswith(("http://", "https://")) else f"{self.url}{path}"


@contextlib.contextmanager
def _named(address: str) -> Iterator[None]:
    """Turn what is left of a network's fault after all attempts into one readable line."""
    try:
        yield
    except requests.RequestException as error:
        raise GbifError(
            f"{address} did not answer in {ATTEMPTS} attempts ({type(error).__name__}: {error}); "
            "check source.api_url and the network, then start again"
        ) from error


def _attempts() -> Iterator[stamina.Attempt]:
    yield from stamina.retry_context(
        on=_worth_another_try, attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=60.0
    )


def _worth_another_try(error: Exception) -> bool | float:
    if isinstance(error, _TransientError):
        return error.wait if error.wait is not None else True
    dropped = requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError
    return isinstance(error, dropped)


def _checked(response: requests.Response) -> requests.Response:
    """The response, or the reason why it cannot be used."""
    if response.ok:
        return response
    status, text = response.status_code, response.text.strip().replace("\n", " ")[:300]
    message = f"{response.request.method} {response.url} answered {status}: {text or response.reason}"
    response.close()
    if status in TRANSIENT:
        raise _TransientError(message, wait=retry_after_seconds(response.headers.get("Retry-After")))
    if status == 401:
        raise GbifError(f"{message}; check GBIF_USER and GBIF_PASSWORD")
    raise NotFoundError(message) if status == 404 else GbifError(message)


def retry_after_seconds(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (seconds or an HTTP date); None when there is no usable one."""
    if value is None:
        return None
    if value.strip().isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return min(max((moment - dt.datetime.now(tz=dt.UTC)).total_seconds(), 0.0), LONGEST_WAIT)
