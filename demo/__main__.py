"""`python -m demo`: the embedded replica as a command. One line on standard output says where it listens."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from demo.faults import FAULTS, FaultError, Faults
from demo.folder import Folder, FolderError
from demo.organisms import Organisms
from demo.records import Source
from demo.server import Replica, serve


def parser() -> argparse.ArgumentParser:
    """The command line."""
    faults = "\n".join(f"  {name:17} {fault.summary}" for name, fault in FAULTS.items())
    command = argparse.ArgumentParser(
        prog="naturewatch replica",
        description="An embedded GBIF and photo server on 127.0.0.1: rendered New Zealand organisms, or any folder of "
        "labelled photographs.",
        epilog=f"faults (each hits the same few photographs on every run):\n{faults}\n\n"
        "Downloads need the account replica with the password replica.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--photos", type=Path, metavar="CSV", help="a list of labelled photographs; without one, organisms are rendered"
    )
    command.add_argument("--release", type=int, choices=(1, 2), default=1, help="the state of the world (default 1)")
    command.add_argument("--port", type=int, default=0, help="the port; 0 takes a free one (default)")
    command.add_argument("--public-url", metavar="URL", help="scheme and host of media addresses (default: as asked)")
    command.add_argument("--state", type=Path, metavar="DIR", help="remember downloads here over a restart")
    command.add_argument("--faults", default="", metavar="NAME,...", help="what goes wrong on purpose; see below")
    command.add_argument(
        "--stage-seconds", type=float, default=0.2, help="how long a download is PREPARING, then RUNNING (default 0.2)"
    )
    command.add_argument("--watch-stdin", action="store_true", help="exit when standard input ends")
    command.add_argument("--parent-pid", type=int, metavar="PID", help="exit when this process is gone")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the replica until it is told to stop.

    Returns:
        The exit status: 0 when it was told to stop, 2 when it could not start.
    """
    arguments = parser().parse_args(argv)
    try:
        replica = _replica(arguments)
        asyncio.run(_run(replica, arguments))
    except (FaultError, FolderError, OSError, ValueError) as error:
        sys.stderr.write(f"replica: {error}\n")
        return 2
    return 0


def _replica(arguments: argparse.Namespace) -> Replica:
    url: str | None = arguments.public_url
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError(f"--public-url {url} is no http address")
        url = url.rstrip("/")
    source: Source = Organisms() if arguments.photos is None else Folder(arguments.photos)
    return Replica(
        source=source,
        release=arguments.release,
        faults=Faults(tuple(name.strip() for name in arguments.faults.split(",") if name.strip())),
        public_url=url,
        state=arguments.state,
        stage_seconds=arguments.stage_seconds,
    )


async def _run(replica: Replica, arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watchers: list[asyncio.Task[None]] = []
    if arguments.watch_stdin:
        _watch_stdin(lambda: loop.call_soon_threadsafe(stop.set))
    if arguments.parent_pid is not None:
        watchers.append(asyncio.create_task(_process_ended(arguments.parent_pid, stop)))
    try:
        await serve(replica, port=arguments.port, ready=_announce, stop=stop.wait())
    finally:
        for watcher in watchers:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher


def _announce(address: str) -> None:
    sys.stdout.write(f"replica ready {address}\n")
    sys.stdout.flush()


def _watch_stdin(stop: Callable[[], object]) -> None:
    """Call `stop` at the end of standard input, from a thread: the parent has closed it, or is dead.

    A thread, since the event loop can watch pipes but neither files nor /dev/null.
    """

    def read() -> None:
        while os.read(0, 4096):
            pass
        stop()

    threading.Thread(target=read, name="stdin", daemon=True).start()


async def _process_ended(pid: int, stop: asyncio.Event) -> None:
    """Set `stop` when the process is gone."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            stop.set()
            return
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
