"""The contestant `naturewatch`: the fetcher on a prepared photo index; see `--help`.

Workers import the main module: it imports as little as that of the command `naturewatch` does.
"""

import argparse
import json
from pathlib import Path


def main() -> None:
    """Fetch everything that the index lacks and print what was done."""
    from pipeline.config.settings import Settings  # noqa: PLC0415 (not for the workers)
    from pipeline.fetching.fetch import fetch_photos  # noqa: PLC0415 (as above)

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    settings = Settings(
        name="bench",
        data_root=options.root,
        photos={"concurrency": options.concurrency, "requests_per_second": 1e6},
    )
    summary = fetch_photos(
        settings.paths,
        settings,
        hosts={"photos.test": ("127.0.0.1", options.port)},
        log=print,
    )
    print(json.dumps({"ok": summary.statuses.get("ok", 0), "requests": summary.requests}))


if __name__ == "__main__":
    main()
