"""Asking a page or server that already runs on this machine, instead of loading the network again.

A running page says in a small JSON file where it answers. Photographs go to addresses of this machine alone. Loads
neither torch nor NumPy.
"""

import dataclasses
import ipaddress
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from ml.ending import complain
from ml.errors import MlError, PhotoError
from ml.serving.answer_text import Answer
from ml.serving.identification import BATCH, Entry
from ml.serving.question import Question
from ml.serving.versions import Version, find_version, shown

if TYPE_CHECKING:
    import requests

BATCH_BYTES: Final = 32_000_000
"""A batch ends with the photograph that reaches this many bytes."""
CONNECT_SECONDS: Final = 2.0
HEALTH_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0
"""A server that says nothing for so long is not waited for."""

Answered = Iterator[tuple[str, Answer | PhotoError]]


class ServerError(MlError):
    """A running server did not answer; the message ends the sentence `the server at ADDRESS ...`."""


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A page or server of this machine that answers with one version."""

    address: str
    """`http://127.0.0.1:PORT`, without a final slash."""
    version: Version
    session: "requests.Session"

    @classmethod
    def find(cls, record: Path, *, uri: str, name: str, alias: str) -> Self | None:
        """The server that `record` names, if its process lives and it answers with the version that is asked for.

        Args:
            record: The file that a running page writes: an object with `address`, `pid`, `registry` and
                `model_name`.
            uri: The registry, as MLflow's address.
            name: The registered model.
            alias: An alias or a version's number.

        Returns:
            None where there is no such server: no such file, one that is damaged or of a process that has ended, an
            address of another machine, another registry or another version.

        Raises:
            ModelError: a server of this registry runs, but the registry cannot be read or has no such version.
        """
        said = _record(record)
        address = said.get("address")
        if not isinstance(address, str) or not _is_here(address) or not _lives(said.get("pid")):
            return None
        if said.get("registry") not in {uri, shown(uri)} or said.get("model_name") != name:
            return None
        version = find_version(uri=uri, name=name, alias=alias)
        server = cls(address=address.rstrip("/"), version=version, session=_session())
        try:
            health = server._json("GET", "/health", timeout=(CONNECT_SECONDS, HEALTH_SECONDS))
        except ServerError:
            return None
        same = health.get("registry") in {uri, shown(uri)} and server._is_asked(health.get("model"))
        return server if same else None

    def answers(
        self, entries: Iterable[Entry], question: Question, *, otherwise: Callable[[Iterable[Entry]], Answered]
    ) -> Answered:
        """For each photograph, in order, its path and the answer, or why there is none.

        Args:
            entries: Photographs, as `ml.serving.identification.Identification.answers` takes them.
            question: What is asked about each.
            otherwise: Answers what is left, the photographs of the present batch among it, where the server is busy,
                has ended, refuses, or has turned to another version.
        """
        remaining = iter(entries)
        while batch := list(_batch(remaining)):
            try:
                found = iter(self.ask([content for _, content in batch if isinstance(content, bytes)], question))
            except ServerError as error:
                complain(f"the server at {self.address} {error}: loading the model here")
                yield from otherwise(itertools.chain(batch, remaining))
                return
            for photo, content in batch:
                answer = content if isinstance(content, PhotoError) else next(found)
                yield photo, answer if isinstance(answer, PhotoError) else {**answer, "photo": photo}

    def ask(self, photographs: Sequence[bytes], question: Question) -> list[Answer | PhotoError]:
        """The answers about photographs, in order.

        Raises:
            ServerError: the server refuses, is busy, has ended, or answers with another version.
        """
        if not photographs:
            return []
        fields = {name: value for name, value in dataclasses.asdict(question).items() if value is not None}
        said = self._json(
            "POST",
            "/api/identify",
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            # Names of files may be no UTF-8, and are nobody else's concern.
            files=[("images", (str(number), content)) for number, content in enumerate(photographs, start=1)],
            data={"question": json.dumps(fields)},
        )
        if not self._is_asked(said.get("model")):
            raise ServerError("has turned to another version")
        answers = said.get("answers")
        if not isinstance(answers, list) or len(answers) != len(photographs):
            raise ServerError("answered something else than was asked")
        return [_answer(answer) for answer in answers]

    def _is_asked(self, model: object) -> bool:
        return (
            isinstance(model, dict)
            and model.get("name") == self.version.name
            and str(model.get("version")) == self.version.number
        )

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 (as requests takes them)
        """The object that the server answers a request with."""
        import requests  # noqa: PLC0415 (only where there is a server)

        try:
            # A redirection could lead photographs to another machine.
            response = self.session.request(method, self.address + path, allow_redirects=False, **options)
            document = response.json()
        except requests.Timeout as error:
            raise ServerError("does not answer in time") from error
        except (requests.JSONDecodeError, UnicodeDecodeError) as error:
            raise ServerError("answered something else than was asked") from error
        except requests.RequestException as error:
            raise ServerError("has ended") from error
        if response.status_code in {429, 503}:
            raise ServerError("is busy")
        if response.status_code != 200 or not isinstance(document, dict):
            raise ServerError(f"refuses (status {response.status_code})")
        return document


def _session() -> "requests.Session":
    import requests  # noqa: PLC0415 (only where there is a server)

    session = requests.Session()
    # A proxy of the environment is another machine.
    session.trust_env = False
    return session


def _record(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict):
            return document
    return {}


def _is_here(address: str) -> bool:
    """Whether an address is one of this machine, by number: a name may lead anywhere."""
    try:
        parts = urlsplit(address)
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _lives(pid: object) -> bool:
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _batch(entries: Iterator[Entry]) -> Iterator[Entry]:
    size = 0
    for photo, content in itertools.islice(entries, BATCH):
        yield photo, content
        size += 0 if isinstance(content, PhotoError) else len(content)
        if size >= BATCH_BYTES:
            return


def _answer(answer: object) -> Answer | PhotoError:
    if isinstance(answer, dict):
        if isinstance(answer.get("error"), str):
            return PhotoError(answer["error"])
        if "taxon" in answer:
            return answer
    raise ServerError("answered something else than was asked")
