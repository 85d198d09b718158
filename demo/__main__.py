"""The command `python -m demo`: options, which source is served, start, the ready line, and the end."""

import argparse
import asyncio
import contextlib
import hashlib
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from demo.faults import FAULTS, UnknownFaultError, parse_faults
from demo.records import Source
from demo.server import Replica

RELEASES = (1, 2)
INTERRUPTED = "interrupted; run the same command again to go on from here"
"""What every command says last when a signal ends it."""


def _faults(text: str) -> frozenset[str]:
    try:
        return parse_faults(text)
    except UnknownFaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    faults = "\n".join(f"  {name:17} {what}" for name, what in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="naturewatch replica",
        description="Serve the embedded GBIF and photo replica on this machine.",
        epilog=f"faults:\n{faults}\n\nThe download service knows the user replica with the password replica.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photos", type=Path, metavar="CSV", help="serve labelled photographs, not rendered organisms")
    parser.add_argument("--release", type=int, choices=RELEASES, default=1, help="state of the data (default 1)")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any that is free)")
    parser.add_argument("--public-url", metavar="URL", help="scheme and host of photographs (default: the request's)")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep the downloads that were asked for here")
    parser.add_argument("--faults", type=_faults, default=frozenset(), metavar="NAME,...", help="see below")
    parser.add_argument("--step", type=float, default=0.2, help="seconds of PREPARING, and of RUNNING (default 0.2)")
    parser.add_argument("--watch-stdin", action="store_true", help="end when standard input ends")
    return parser


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when standard input ends: whoever held its other end is gone, even if it was killed."""
    while sys.stdin.buffer.read(4096):
        pass
    # The loop may have ended for another reason already; then there is nothing left to stop.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)


async def serve(replica: Replica, *, port: int, watch_stdin: bool) -> int:
    """Serve until a signal, or the end of standard input, says stop.

    Returns:
        The signal's number, or 0.

    Raises:
        OSError: The port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def interrupt(number: int) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # `nohup` keeps its promise.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, interrupt, number)
    if watch_stdin:
        threading.Thread(target=_watch_stdin, args=(loop, stop), daemon=True).start()
    runner = web.AppRunner(replica.application(), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(f"replica ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
    return received[0] if received else 0


def open_source(*, photos: Path | None, release: int) -> Source:
    """Open a folder of labelled photographs, or, without one, the rendered organisms.

    Args:
        photos: CSV of labelled photographs (columns as `demo.folder.COLUMNS`), or None.
        release: 1, or 2 for the same world a year later (see `demo.releases`).

    Raises:
        ValueError: The release is neither 1 nor 2.
        FolderError: The CSV or a photograph that it names cannot be used.
    """
    # Loaded after the options, so that --help and a wrong option answer at once.
    from demo.folder import FolderSource  # noqa: PLC0415
    from demo.organisms.source import RenderedSource  # noqa: PLC0415

    if release not in RELEASES:
        raise ValueError(f"release {release} does not exist; choose one of {', '.join(map(str, RELEASES))}")
    return RenderedSource(release=release) if photos is None else FolderSource(csv=photos, release=release)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    # Loaded after the options, as in `open_source`.
    from demo.folder import FolderError  # noqa: PLC0415

    photos: Path | None = arguments.photos
    try:
        source = open_source(photos=photos, release=arguments.release)
    except FolderError as error:
        print(f"naturewatch replica: {error}", file=sys.stderr)
        return 2
    replica = Replica(
        # A kept download may be of the other release; that one is opened when it is asked for.
        open_release=lambda release: (
            source if release == arguments.release else open_source(photos=photos, release=release)
        ),
        release=arguments.release,
        # The content, not the place: the same table gets the same download keys on every machine.
        source_name=hashlib.sha256(photos.read_bytes()).hexdigest() if photos else "",
        public_url=arguments.public_url,
        state=arguments.state,
        faults=arguments.faults,
        step=arguments.step,
    )
    try:
        number = asyncio.run(serve(replica, port=arguments.port, watch_stdin=arguments.watch_stdin))
    except OSError as error:
        print(f"naturewatch replica: cannot serve on port {arguments.port}: {error.strerror}", file=sys.stderr)
        return 1
    if number:
        print(f"naturewatch: {INTERRUPTED}", file=sys.stderr)
    return 128 + number if number else 0


if __name__ == "__main__":
    sys.exit(main())
