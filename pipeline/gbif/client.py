"""A polite HTTP client for GBIF's API: it names itself, waits as long as GBIF asks, and retries transient failures.

The one request that must not be sent twice, the one for a new download, is not retried here: `pipeline.gbif.download`
asks GBIF what became of it before it sends another.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import requests
import stamina
from requests.auth import HTTPBasicAuth

from pipeline.errors import GbifError
from pipeline.gbif.answers import A, read_answer, require_plain
from pipeline.politeness import retry_after, user_agent

TIMEOUT: Final = (10.0, 120.0)
"""Seconds to connect, and to wait for the next byte: GBIF may take a minute to begin an answer."""
TRANSIENT: Final = frozenset({420, 429, 500, 502, 503, 504})
"""Statuses worth another try: 420 is GBIF's "three downloads are running", 429 "slower"."""
ATTEMPTS: Final = 10
"""Attempts of a request; of the transfer of a file, attempts since the last new byte."""
FEW_ATTEMPTS: Final = 3
"""Attempts where the work can go on without an answer."""
PAUSE: Final = 1.0
"""Seconds before a transfer that broke off after some bytes is resumed."""
DROPPED: Final = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
"""A connection that was lost before the answer was complete."""
CHUNK: Final = 1 << 16
"""Bytes written at a time; a broken connection loses at most this much."""
LONGEST_WAIT: Final = 3600.0
"""Seconds; if GBIF asks for a longer wait, the request fails instead of being repeated too early."""

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
        if ":" in user:
            raise GbifError(f"GBIF_USER is {user!r}; a user name has no colon: give the name of the account alone")
        return cls(user=user, password=password, email=email)


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a host says of a file before it sends it."""

    validator: str
    """Its ETag or Last-Modified, as `validator_of` keeps it; empty where the host states neither."""
    size: int
    """Bytes; 0 where the host does not say."""


class NotFoundError(GbifError):
    """GBIF answered 404."""


class UnreachableError(GbifError):
    """No answer, or only "try again later", came from an address in several attempts."""


class BusyError(GbifError):
    """GBIF did not accept a request that must not be sent twice; find out what became of it before sending another.

    Attributes:
        wait: Seconds that GBIF asked to wait, or None.
    """

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class _TransientError(GbifError):
    """GBIF asked to come back later."""

    def __init__(self, message: str, *, wait: float | None) -> None:
        super().__init__(message)
        self.wait = wait


class Api:
    """GBIF's API at one address.

    Args:
        url: For example `https://api.gbif.org/v1`.
        credentials: For requesting downloads; default those of the environment, read when they are needed.
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
        self._session.headers["User-Agent"] = user_agent(contact)

    def get(self, path: str, shape: type[A], parameters: Parameters | None = None, *, authenticated: bool = False) -> A:
        """The document that a GET request returns; `authenticated` sends the account's credentials.

        Raises:
            GbifError: GBIF refused, did not answer in several attempts, or answered something else.
        """
        response = self._send("GET", path, params=parameters, auth=self._account() if authenticated else None)
        return read_answer(response.content, shape, address=str(response.url))

    def get_text(self, path: str) -> str:
        """The plain text that a GET request returns.

        Raises:
            GbifError: GBIF refused, did not answer in several attempts, or answered something else.
        """
        response = self._send("GET", path)
        return require_plain(response.text, address=str(response.url))

    def post_json(self, path: str, body: Mapping[str, object]) -> str:
        """Send JSON with the account's credentials, once, and return the answer's text.

        Raises:
            BusyError: GBIF is busy or its answer was lost; it may or may not have acted.
            GbifError: GBIF refused, or there are no credentials.
        """
        address = self._address(path)
        try:
            return _checked(self._session.post(address, json=body, auth=self._account(), timeout=TIMEOUT)).text
        except _TransientError as error:
            raise BusyError(str(error), wait=error.wait) from error
        except DROPPED as error:
            raise BusyError(f"{address} did not answer ({type(error).__name__}: {error})") from error

    def download(self, address: str, target: Path, *, size: int = 0) -> None:
        """Append the body of an address to `target`, from the byte where `target` ends now.

        The file starts over if the host does not serve ranges or now has another file than the one that was begun (by
        its ETag, or by its Last-Modified where there is no ETag).

        Args:
            address: A path below the API, or a whole address.
            target: The file; what identifies the remote file is kept beside it, in `validator_of`.
            size: Bytes that are expected; 0 when unknown. A longer body is cut off and refused.

        Raises:
            GbifError: the host refused, did not answer in several attempts, or sent more than `size` bytes.
        """
        most = _bytes_of(target)
        with _named(self._address(address)):
            while not _retrying()(_wait, self._downloaded, address, target, size=size, most=most):
                most = _bytes_of(target)
                time.sleep(PAUSE)

    def _downloaded(self, address: str, target: Path, *, size: int, most: int) -> bool:
        """Whether the body is complete; False where it broke off, but after more bytes than ever before."""
        try:
            self._download_once(address, target, size=size)
        except DROPPED:
            if _bytes_of(target) <= most:
                raise
            return False
        return True

    def changed(self, address: str, validator: str) -> bool:
        """Whether the file at an address has changed; the body is not read.

        The request is conditional; if the host ignores the condition, the answer's ETag or Last-Modified is compared.

        Args:
            address: A path below the API, or a whole address.
            validator: What `download` wrote into `validator_of`; not empty.

        Raises:
            GbifError: the host refused, or did not answer in a few attempts.
        """
        condition = "If-None-Match" if validator.startswith('"') else "If-Modified-Since"
        headers = {"Accept-Encoding": "identity", condition: validator}
        with self._send("GET", address, attempts=FEW_ATTEMPTS, headers=headers, stream=True) as response:
            return response.status_code != HTTPStatus.NOT_MODIFIED and _version(response) != validator

    def stated(self, address: str) -> Stated:
        """What a host says of the file at an address; the body is not read.

        Raises:
            GbifError: the host refused, or did not answer in a few attempts.
        """
        headers = {"Accept-Encoding": "identity"}
        with self._send("GET", address, attempts=FEW_ATTEMPTS, headers=headers, stream=True) as response:
            size = response.headers.get("Content-Length", "")
            return Stated(validator=_version(response), size=int(size) if size.isdecimal() else 0)

    def _download_once(self, address: str, target: Path, *, size: int) -> None:
        offset = _bytes_of(target)
        headers = {"Accept-Encoding": "identity"}
        validator = validator_of(target)
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if known := validator.read_text(encoding="utf-8") if validator.exists() else "":
                headers["If-Range"] = known
        with self._session.get(self._address(address), headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                _require_whole(response, target, offset=offset)
                return
            resumed = _checked(response).status_code == 206
            if resumed and not response.headers.get("Content-Range", f"bytes {offset}-").startswith(f"bytes {offset}-"):
                target.unlink()
                raise _TransientError(f"{response.url} sent another part than was asked for", wait=None)
            if not resumed:
                offset = 0
                validator.write_text(_version(response), encoding="utf-8")
            with target.open("ab" if resumed else "wb") as stream:
                for chunk in response.iter_content(CHUNK):
                    offset += len(chunk)
                    if size and offset > size:
                        raise GbifError(f"{response.url} sends more than the {size:,} bytes that were announced")
                    stream.write(chunk)

    def account(self) -> Credentials:
        """The account that requests downloads.

        Raises:
            GbifError: none was given, and the environment has none.
        """
        return self.credentials or Credentials.from_environment()

    def _account(self) -> HTTPBasicAuth:
        """Credentials in UTF-8 (RFC 7617), in which GBIF reads them: text would be sent in Latin-1."""
        account = self.account()
        return HTTPBasicAuth(
            account.user.encode(errors="surrogateescape"), account.password.encode(errors="surrogateescape")
        )

    def _send(self, method: str, path: str, *, attempts: int = ATTEMPTS, **arguments: Any) -> requests.Response:  # noqa: ANN401
        def once() -> requests.Response:
            return _checked(self._session.request(method, self._address(path), timeout=TIMEOUT, **arguments))

        with _named(self._address(path)):
            return _retrying(attempts)(_wait, once)

    def _address(self, path: str) -> str:
        return path if path.startswith(("http://", "https://")) else f"{self.url}{path}"


@contextlib.contextmanager
def _named(address: str) -> Iterator[None]:
    """Turn the error that remains after all attempts into one readable line."""
    try:
        yield
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError) as error:
        raise GbifError(
            f"{address} is no address that can be asked ({error}); check it in the configuration"
        ) from error
    except requests.exceptions.ContentDecodingError as error:
        raise GbifError(f"{address} sent a body that cannot be decoded ({error}); start again") from error
    except requests.RequestException as error:
        raise UnreachableError(
            f"{address} did not answer in several attempts ({type(error).__name__}: {error}); "
            "check the address and the network, then start again"
        ) from error
    except _TransientError as error:
        raise UnreachableError(f"{error}, after several attempts; start again later") from error


def _retrying(attempts: int = ATTEMPTS) -> stamina.RetryingCaller:
    return stamina.RetryingCaller(attempts=attempts, timeout=None, wait_initial=1.0, wait_max=60.0)


def _wait(error: Exception) -> bool | float:
    """Whether an error is worth another attempt, or after how many seconds GBIF asks for it."""
    if isinstance(error, _TransientError):
        return error.wait if error.wait is not None else True
    return isinstance(error, DROPPED)


def _bytes_of(target: Path) -> int:
    return target.stat().st_size if target.exists() else 0


def _require_whole(response: requests.Response, target: Path, *, offset: int) -> None:
    """The host has no bytes beyond those in `target`: the file is complete, unless the remote file has another size."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    if total.isdigit() and int(total) != offset:
        target.unlink()
        raise _TransientError(f"{response.url} has {total} bytes, {offset:,} are here already", wait=None)


def validator_of(target: Path) -> Path:
    """The file that holds the ETag or Last-Modified of the remote file; empty where the host sends neither."""
    return target.with_name(f"{target.name}.validator")


def _version(response: requests.Response) -> str:
    """What `validator_of` holds; a weak ETag does not promise equal bytes (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _checked(response: requests.Response) -> requests.Response:
    """The response, or the reason why it cannot be used."""
    if response.ok:
        return response
    status, text = response.status_code, response.text.strip().replace("\n", " ")[:300]
    message = f"{response.request.method} {response.url} answered {status}: {text or response.reason}"
    response.close()
    if status in TRANSIENT:
        wait = retry_after(response.headers.get("Retry-After"))
        if wait is not None and wait > LONGEST_WAIT:
            raise GbifError(f"{message}; it asks to come back in {wait:,.0f} seconds: start again then")
        raise _TransientError(message, wait=wait)
    if status == 401:
        raise GbifError(f"{message}; check GBIF_USER and GBIF_PASSWORD")
    raise NotFoundError(message) if status == 404 else GbifError(message)
