"""A worker of the fetcher that takes every body for a photograph: what the rest costs without decoding."""

import sys
from pathlib import Path

from pipeline.photos.verify import Verdict
from pipeline.photos.worker import serve


def accepted(body: bytes) -> Verdict:
    """Looks at nothing."""
    del body
    return Verdict(status="ok", width=500, height=375)


if __name__ == "__main__":
    serve(judge=accepted, folder=Path(sys.argv[1]))
