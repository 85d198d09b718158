"""Starts the embedded replica for `source.mode: replica`, and gives each step the addresses of GBIF and photo hosts."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pipeline.config.settings import Settings
from pipeline.errors import ChildError
from pipeline.gbif.client import Api, Credentials
from pipeline.paths import PROJECT_ROOT

PUBLIC_HOST: Final = "photos.replica.test"
"""The host of the replica's media addresses; see docs/adr/0001-stable-addresses-for-the-replica.md."""
ACCOUNT: Final = Credentials(user="replica", password="replica", email="replica@replica.test")  # noqa: S106 (public)
READY: Final = "replica ready "


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A running replica."""

    api_url: str
    hosts: Mapping[str, tuple[str, int]]
    """The one private address that the fetcher may reach: host name to (IP address, port)."""


@contextlib.contextmanager
def running_replica(settings: Settings) -> Iterator[Replica]:
    """Run the replica as a child process while the block runs; it ends when this process ends, however that happens.

    Raises:
        ChildError: it did not start; its last message is repeated.
    """
    replica = settings.source.replica
    command = [sys.executable, "-m", "demo", "--port", "0", "--watch-stdin", "--public-url", f"http://{PUBLIC_HOST}"]
    command += ["--state", str(settings.paths.replica_state), "--release", str(replica.release)]
    if replica.photos is not None:
        command += ["--photos", str(replica.photos.absolute())]
    if replica.faults:
        command += ["--faults", ",".join(replica.faults)]
    # A file, not a pipe: a pipe that is not read would block a replica that prints much.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        child = subprocess.Popen(
            command, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        with _ended(child):
            assert child.stdout is not None  # noqa: S101 (asked for above)
            line = child.stdout.readline().strip()
            if not line.startswith(READY):
                _end(child)
                errors.seek(0)
                said = errors.read().strip().splitlines()
                raise ChildError(f"the replica did not start: {said[-1] if said else line!r}")
            address = urlsplit(line.removeprefix(READY))
            yield Replica(
                api_url=f"{address.geturl()}/v1", hosts={PUBLIC_HOST: (str(address.hostname), int(address.port or 80))}
            )


@contextlib.contextmanager
def _ended(child: subprocess.Popen[str]) -> Iterator[None]:
    """End the child after the block, even if the block raises."""
    try:
        yield
    finally:
        _end(child)
        if child.stdout is not None:
            child.stdout.close()


def _end(child: subprocess.Popen[str]) -> None:
    """Close the child's input, which ends it; kill it if that takes ten seconds."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def source_api(settings: Settings) -> Iterator[Api]:
    """GBIF's API for this scope: the real one, or the replica's while the block runs.

    Raises:
        ChildError: the replica did not start.
    """
    if settings.source.mode == "replica":
        with running_replica(settings) as replica:
            yield Api(replica.api_url, credentials=ACCOUNT, contact=settings.photos.contact, poll_seconds=(0.1, 0.5))
        return
    yield Api(str(settings.source.api_url), contact=settings.photos.contact)


@contextlib.contextmanager
def photo_hosts(settings: Settings) -> Iterator[Mapping[str, tuple[str, int]]]:
    """Hosts that the fetcher reaches at a fixed private address: the replica's, or none."""
    if settings.source.mode == "replica":
        with running_replica(settings) as replica:
            yield replica.hosts
        return
    yield {}
