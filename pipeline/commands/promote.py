"""`naturewatch promote`: a person makes a version the champion, goes back to the previous one, or pins it."""

import argparse
import getpass
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.config.settings import Settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "version", help="number of a version, `previous` for the one that the champion replaced, or an alias"
    )
    parser.add_argument("--why", metavar="TEXT", help="the reason, kept with the version")
    parser.add_argument("--force", metavar="REASON", help="promote a version that never passed the exam")
    parser.add_argument(
        "--pin", metavar="REASON", help="let no refresh replace it, until the next `naturewatch promote` without --pin"
    )


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Move the alias `champion`, and say what became of it.

    Raises:
        RegistryError: there is no such version, it cannot be served, or it never passed the exam and is not forced.
    """
    from pipeline.registry.promotion import pinned, promote  # noqa: PLC0415 (loads MLflow)

    done = promote(settings, options.version, by=who(), why=options.why, force=options.force, pin=options.pin)
    name = settings.registry.model_name
    if done.promoted:
        before = f", in the place of version {done.replaced}" if done.replaced else ""
        print(f"{name} version {done.champion} is the champion now{before}: {done.reason}")
    else:
        print(f"{name}: {done.reason}")
    if (why := pinned(settings)) is not None:
        print(f"It is pinned ({why}): refreshes train and judge challengers, but replace it only after "
              f"`naturewatch promote {done.champion}`.")  # fmt: skip
    else:
        print("The next refresh may replace it by a version that passes the exam; `--pin REASON` prevents that.")
    return 0


def who() -> str:
    """The account that asks, for people."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        account = "unknown account"
    return f"{account}@{socket.gethostname()}"
