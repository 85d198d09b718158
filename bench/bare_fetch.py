"""The contestants `bare loop`: as little as aiohttp needs for the same files, with nothing around it. See `--help`.

No limits, no retries, no record, no second run. Bodies are hashed and stored under their hash, atomically; `--verify`
also decodes each at one eighth of its size, in two threads and in batches, which was the fastest way found.
"""

import argparse
import asyncio
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import aiohttp
import simplejpeg
import uvloop

BATCH: Final = 16


def kept(bodies: Sequence[bytes], *, folder: Path, verify: bool) -> None:
    """Decode if asked to, hash, store."""
    for body in bodies:
        if verify:
            simplejpeg.decode_jpeg(body, colorspace="GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
        name = hashlib.sha256(body).hexdigest()
        partial, target = f"{folder}/{name[:2]}/{name}.partial", f"{folder}/{name[:2]}/{name}.jpg"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, body)
        os.close(descriptor)
        os.rename(partial, target)  # noqa: PTH104 (speed)


async def fetch(*, photos: int, port: int, folder: Path, concurrency: int, verify: bool) -> None:
    """Ask for every photograph once."""
    numbers = iter(range(photos))
    loop = asyncio.get_running_loop()
    waiting: list[bytes] = []
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )

    async def work() -> None:
        for number in numbers:
            async with session.get(f"http://127.0.0.1:{port}/photos/{number}/large.jpg") as response:
                body = await response.read()
            if not verify:
                kept([body], folder=folder, verify=False)
                continue
            waiting.append(body)
            if len(waiting) >= BATCH:
                batch = waiting.copy()
                waiting.clear()
                await loop.run_in_executor(pool, lambda bodies: kept(bodies, folder=folder, verify=True), batch)

    with ThreadPoolExecutor(2) as pool:
        async with session, asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    kept(waiting, folder=folder, verify=verify)


def main() -> None:
    """Parse arguments and fetch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    for number in range(256):
        (options.folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)
    uvloop.run(
        fetch(
            photos=options.photos,
            port=options.port,
            folder=options.folder,
            concurrency=options.concurrency,
            verify=options.verify,
        )
    )
    print(json.dumps({"ok": sum(1 for _ in options.folder.glob("*/*.jpg"))}))


if __name__ == "__main__":
    main()
