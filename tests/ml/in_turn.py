"""Started by torchrun: several trainings one after the other in the same processes, as `python -m ml train` runs each.

Arguments: pairs of a specification's file and the largest problem, in bytes, that a head is solved for exactly; `-` for
the usual one. Where it is given, embeddings are computed in pieces of five photographs.
"""

import contextlib
import sys
from collections.abc import Iterator
from unittest import mock

import ml.devices
from ml.__main__ import main
from ml.devices import Device, joined
from ml.networks import embeddings
from ml.training import head_fit


def run(file: str, exact_bytes: str) -> int:
    if exact_bytes == "-":
        return main(["train", "--spec", file])
    with mock.patch.object(embeddings, "PIECE", 5), mock.patch.object(head_fit, "EXACT_BYTES", int(exact_bytes)):
        return main(["train", "--spec", file])


if __name__ == "__main__":
    with joined() as device:

        @contextlib.contextmanager
        def already() -> Iterator[Device]:
            yield device

        with mock.patch.object(ml.devices, "joined", already):
            pairs = zip(sys.argv[1::2], sys.argv[2::2], strict=True)
            sys.exit(max(run(*pair) for pair in pairs))
