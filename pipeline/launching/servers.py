"""Servers beside this process: each under a keeper that ends it with this process, what they print in one log."""

import contextlib
import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ChildError
from pipeline.launching.interrupts import SIGNALS

HOST = "127.0.0.1"
ANSWER_SECONDS = 2.0
"""How long a server may take to say that it is ready."""
TAIL_BYTES = 65_536
"""How much of the end of the log is looked at for the reason of an end."""
PROBLEM = re.compile(r"\b(\w*(Error|Exception)|error)\b")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server to start."""

    name: str
    command: Sequence[str]
    port: int
    health: str
    """The path that is answered with status 200 once the server is ready."""


class Servers:
    """Servers that were started; see `running`."""

    def __init__(self, *, environment: Mapping[str, str], log: BinaryIO) -> None:
        """Nothing is started yet."""
        self._environment, self._log = environment, log
        self._started: list[tuple[Server, subprocess.Popen[bytes]]] = []

    def start(self, server: Server) -> None:
        """Start a server under a keeper, which ends everything that it has started when this process ends."""
        keep = [sys.executable, "-m", "pipeline.launching.keep", *server.command]
        keeper = subprocess.Popen(
            keep, env=self._environment, stdin=subprocess.PIPE, stdout=self._log, stderr=subprocess.STDOUT
        )
        self._started.append((server, keeper))

    def end(self) -> None:
        """End all, and wait for it."""
        for _, keeper in self._started:
            assert keeper.stdin is not None  # noqa: S101 (asked for in `start`)
            keeper.stdin.close()
        for _, keeper in self._started:
            keeper.wait()

    def ready(self) -> bool:
        """Whether each server answers.

        Raises:
            ChildError: as for `check`.
        """
        self.check()
        return all(_answers(server) for server, _ in self._started)

    def check(self) -> None:
        """Make sure that all still run.

        Raises:
            ChildError: one has ended by itself; the message has its last error and the log.
        """
        ended = [(server.name, keeper.returncode) for server, keeper in self._started if keeper.poll() is not None]
        if ended:
            what = " and ".join(f"{name} ended with status {status}" for name, status in ended)
            log = Path(self._log.name)
            reason = _reason(log)
            raise ChildError(f"{what}{f' ({reason})' if reason else ''}; the log has the rest: {log}")


@contextlib.contextmanager
def running(*, environment: Mapping[str, str], log: Path) -> Iterator[Servers]:
    """For servers that end, with all that they have started, when the block or this process ends.

    Args:
        environment: Of the servers.
        log: The file that takes what they print; its folder is made.

    Yields:
        Starts servers.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        servers = Servers(environment=environment, log=stream)
        try:
            yield servers
        finally:
            # Keepers take seconds at most, and a second Ctrl-C must not leave them alone.
            with _signals_ignored():
                servers.end()


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(server: Server) -> bool:
    """Asked without a proxy, which an environment may name for everything else."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", server.health)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reason(log: Path) -> str:
    """The last line of the log that names an error, or the last line of all."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if PROBLEM.search(line)), lines[-1] if lines else "")
