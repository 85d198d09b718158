"""The contestant `bare loop`: as little as aiohttp needs for the same files, with nothing around it. See `--help`.

No limits, no retries, no record, no second run. Bodies are decoded at one eighth of their size in two threads, hashed,
and stored under their hash, atomically.
"""

import argparse
import asyncio
import functools
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import simplejpeg


def keep(body: bytes, *, folder: Path) -> None:
    """Decode, hash, store."""
    simplejpeg.decode_jpeg(body, colorspace="GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    name = hashlib.sha256(body).hexdigest()
    partial = folder / name[:2] / f"{name}.partial"
    partial.write_bytes(body)
    partial.replace(folder / name[:2] / f"{name}.jpg")


async def fetch(*, photos: int, port: int, folder: Path, concurrency: int) -> None:
    """Ask for every photograph once."""
    numbers = iter(range(photos))
    loop = asyncio.get_running_loop()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )

    async def work() -> None:
        for number in numbers:
            async with session.get(f"http://127.0.0.1:{port}/photos/{number}/large.jpg") as response:
                body = await response.read()
            await loop.run_in_executor(pool, functools.partial(keep, body, folder=folder))

    with ThreadPoolExecutor(2) as pool:
        async with session, asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())


def main() -> None:
    """Parse arguments and fetch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    for number in range(256):
        (options.folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)
    asyncio.run(fetch(photos=options.photos, port=options.port, folder=options.folder, concurrency=options.concurrency))
    print(json.dumps({"ok": sum(1 for _ in options.folder.glob("*/*.jpg"))}))


if __name__ == "__main__":
    main()
