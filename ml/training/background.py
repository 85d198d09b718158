"""Work beside the computation, in one thread: a checkpoint that is written, numbers that are sent to MLflow."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """Runs one task at a time in a thread of its own; what a task raises is raised by the next call."""

    def __init__(self, name: str) -> None:
        """Name the thread."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._running: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return self._running is not None and not self._running.done()

    def start(self, task: Callable[[], None]) -> None:
        """Run `task`, once the one before has ended."""
        self.wait()
        self._running = self._pool.submit(task)

    def check(self) -> None:
        """Raise what a task has raised, if one has ended."""
        if not self.busy:
            self.wait()

    def wait(self) -> None:
        """Wait for the running task, and raise what it raises."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        """Wait for the running task; what it raises stays unsaid, since another error comes first."""
        self._pool.shutdown(wait=True)
