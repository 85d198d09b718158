"""Hands bodies to worker processes in batches and tells what became of them. What a worker does is in `worker`."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Generic, TypeVar

from pipeline.errors import ChildError
from pipeline.launching.child import ONE_BLAS_THREAD
from pipeline.paths import PROJECT_ROOT
from pipeline.photos.verification import Verdict
from pipeline.photos.worker import READY

WORKERS: Final = max(1, min(8, os.cpu_count() or 1))
BATCH: Final = 16
"""Bodies that a worker is given at a time: handing one over costs a good part of what verifying it does."""
BATCH_BYTES: Final = 1 << 20
BATCH_SECONDS: Final = 0.05
"""An incomplete batch is handed over after so long."""
LONGEST_ANSWER: Final = 1 << 20
"""Bytes of a worker's answer to one batch."""
_CRASHES: Final = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL}
"""How a process ends whose decoder has failed."""

Ticket = TypeVar("Ticket")


@dataclass(kw_only=True, slots=True)
class Examined(Generic[Ticket]):
    """What became of one body."""

    ticket: Ticket
    """What the caller handed over with it."""
    verdict: Verdict
    sha256: str | None
    size: int
    """Bytes."""


def worker_command(*, folder: Path, max_pixels: int) -> list[str]:
    """The command of a worker that stores photographs below `folder`; the option `--memory` is added to it."""
    return [sys.executable, "-m", "pipeline.photos.worker", "--folder", str(folder), "--max-pixels", str(max_pixels)]


def file_in_memory() -> IO[bytes]:
    """An anonymous file that takes the memory of what is written into it; on disk where the system has none in memory.

    Not in /dev/shm: containers keep that small, and other programs fill it.
    """
    try:
        return os.fdopen(os.memfd_create("photographs"), "w+b", buffering=0)
    except (AttributeError, OSError):
        return tempfile.TemporaryFile(buffering=0)


class Examiner(Generic[Ticket]):
    """Takes bodies, and tells what they are.

    Args:
        command: Starts a worker (see `worker_command`).
        group: The tasks of the run; a body that cannot be stored ends them all.
        done: Is told of every body, in the event loop.
    """

    def __init__(
        self,
        *,
        command: Sequence[str],
        group: asyncio.TaskGroup,
        done: Callable[[Examined[Ticket]], None],
    ) -> None:
        self._command = command
        self._group = group
        self._done = done
        self._batch: list[tuple[Ticket, bytes]] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._coming = asyncio.Event()
        """Set while bodies may come."""
        self._coming.set()
        self._places = asyncio.Semaphore(WORKERS)
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()

    async def take(self, ticket: Ticket, body: bytes) -> None:
        """Hand over a body; waits while the workers have more than they can do."""
        self._batch.append((ticket, body))
        self._bytes += len(body)
        if len(self._batch) >= BATCH or self._bytes >= BATCH_BYTES:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._start)
        await self._coming.wait()

    async def finish(self) -> None:
        """Wait until every body is examined."""
        self._start()
        while self._running:
            await asyncio.wait(self._running)

    async def end(self) -> None:
        """End the workers, also those that are at work; to be called when the tasks of `group` have ended."""
        if self._timer is not None:
            self._timer.cancel()
        for worker in self._workers.difference(self._idle):
            worker.process.kill()
        for worker in self._workers:
            await worker.end()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._batch:
            return
        task = self._group.create_task(self._examine(self._batch))
        self._batch, self._bytes = [], 0
        self._running.add(task)
        task.add_done_callback(self._ended)
        self._weigh()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._weigh()

    def _weigh(self) -> None:
        if len(self._running) > 2 * WORKERS:
            self._coming.clear()
        else:
            self._coming.set()

    async def _examine(self, batch: Sequence[tuple[Ticket, bytes]]) -> None:
        async with self._places:
            worker = self._idle.pop() if self._idle else await self._started()
            line = await worker.ask([body for _, body in batch])
            if line:
                self._idle.append(worker)
        if line:
            self._tell(batch, json.loads(line))
            return
        self._workers.remove(worker)
        status = await worker.end()
        if status not in _CRASHES:
            raise ChildError(f"a worker that verifies photographs ended with status {status}; start again")
        if len(batch) == 1:
            ticket, body = batch[0]
            verdict = Verdict(status="corrupt", error=f"the decoder failed on it (signal {-status})")
            self._done(Examined(ticket=ticket, verdict=verdict, sha256=None, size=len(body)))
            return
        # One body of the batch is to blame: each is tried alone.
        for one in batch:
            await self._examine([one])

    async def _started(self) -> "_Worker":
        try:
            worker = await _Worker.start(self._command)
        except OSError as error:
            raise ChildError(f"a worker that verifies photographs did not start: {error}") from error
        self._workers.add(worker)
        if not await worker.ready():
            self._workers.remove(worker)
            raise ChildError(f"a worker that verifies photographs did not start (status {await worker.end()})")
        return worker

    def _tell(self, batch: Sequence[tuple[Ticket, bytes]], answer: object) -> None:
        if isinstance(answer, dict):
            raise OSError(answer["errno"], answer["error"], answer["path"])
        assert isinstance(answer, list)  # noqa: S101 (the worker's two kinds of answer)
        for (ticket, body), (status, sha256, width, height, error) in zip(batch, answer, strict=True):
            verdict = Verdict(status=status, width=width, height=height, error=error)
            self._done(Examined(ticket=ticket, verdict=verdict, sha256=sha256, size=len(body)))


class _Worker:
    """A running worker and the file in memory that it is given bodies in."""

    def __init__(self, process: Process, memory: IO[bytes]) -> None:
        self.process = process
        self._memory = memory
        assert process.stdin is not None  # noqa: S101 (asked for by `start`)
        assert process.stdout is not None  # noqa: S101 (as above)
        self._input, self._output = process.stdin, process.stdout

    @classmethod
    async def start(cls, command: Sequence[str]) -> "_Worker":
        """Start a worker."""
        with contextlib.ExitStack() as failed:
            memory = failed.enter_context(file_in_memory())
            process = await asyncio.create_subprocess_exec(
                *command,
                "--memory",
                str(memory.fileno()),
                stdin=PIPE,
                stdout=PIPE,
                cwd=PROJECT_ROOT,
                env={**os.environ, **ONE_BLAS_THREAD},
                limit=LONGEST_ANSWER,
                pass_fds=[memory.fileno()],
                # Ctrl-C at a terminal reaches a whole group: the fetch decides, and its workers end with it.
                start_new_session=True,
            )
            failed.pop_all()
        return cls(process, memory)

    async def ready(self) -> bool:
        """Whether it has started."""
        return await self._output.readline() == READY

    async def ask(self, bodies: Sequence[bytes]) -> bytes:
        """The worker's answer; empty where it has died.

        Raises:
            ChildError: the bodies cannot be handed over.
        """
        begin = 0
        try:
            for body in bodies:
                left = memoryview(body)
                while left:
                    written = os.pwrite(self._memory.fileno(), left, begin)
                    left = left[written:]
                    begin += written
        except OSError as error:
            raise ChildError(
                f"no room to hand photographs of {sum(map(len, bodies)):,} bytes to a worker ({error.strerror}): "
                f"free memory, or space in {tempfile.gettempdir()}, and run it again"
            ) from error
        try:
            self._input.write(json.dumps([len(body) for body in bodies]).encode() + b"\n")
            await self._input.drain()
        except (BrokenPipeError, ConnectionResetError):
            return b""
        line = await self._output.readline()
        return line if line.endswith(b"\n") else b""

    async def end(self) -> int:
        """Let it end, and return its status."""
        self._input.close()
        status = await self.process.wait()
        self._memory.close()
        return status
