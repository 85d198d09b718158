"""Part `fetch`: photographs of about 33 KB from one loopback host, against peers and a bare loop.

A user waits for hosts, not for the fetcher: by default a host is asked for 20 photographs a second, and iNaturalist has
two. One core must be enough for ten times that, with every photograph verified and the start included, and memory must
stay small when a million photographs are known. Processor time is what counts: it depends least on other work.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from bench.harness import Goal, Report, Sample, alternate, fill_page_cache, measure, median_and_spread
from bench.peers import python_of
from pipeline.files import atomic_path
from pipeline.paths import PROJECT_ROOT, Paths
from pipeline.photos.journal import SEALED, now
from pipeline.tables import CONTRACTS

PHOTOS: Final = 10_000
FEW: Final = 3_000
"""gbif-dl looks through its folder before every photograph, so that its cost grows with the square of their number."""
ROWS: Final = (10_000, 1_000_000)
"""Sizes of the photo index that memory is measured with."""
ASKED: Final = 2 * 20.0
"""Photographs a second that iNaturalist's two hosts are asked for by default (`photos.requests_per_second`)."""
GBIF_DL: Final = """
import sys
from gbif_dl.stores import dl_async
urls = [f"http://127.0.0.1:{sys.argv[1]}/photos/{number}/large.jpg" for number in range(int(sys.argv[2]))]
dl_async.download(urls, root=sys.argv[3], loglevel="ERROR")
"""
NOTES: Final = (
    "CPU time is that of the client and its children, the host's is not counted; client and host share the cores.",
    "`without its start` takes off what one photograph costs.",
    "The page cache is filled before each run: a virtual machine gets untouched memory from its host page by page.",
    "The bare loop verifies, hashes and renames as the fetcher does; no record, limits, retries or address checks.",
    "Of the largest index all but the last photographs were asked for before: the ledger holds an attempt for each.",
    "img2dataset 1.47.0 with its defaults, files, without re-encoding: two files for each photograph.",
    f"gbif-dl 0.1.1 with its defaults on {FEW:,} photographs: it searches its folder before each one.",
)
_CHUNK: Final = 100_000


def run(*, folder: Path, runs: int) -> Report:
    """Measure all contestants in turn, then the fetcher's memory on a small and on a large index."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with photo_host() as port:
        contestants = _contestants(folder, port=port)
        samples = alternate(contestants, runs=runs)
        starts = {name: contestant() for name, contestant in _contestants(folder, port=port, photos=1).items()}
        memory = {rows: _memory(folder, port=port, rows=rows) for rows in ROWS}
    shutil.rmtree(folder / "out")
    return _report(samples, starts=starts, memory=memory)


@contextlib.contextmanager
def photo_host() -> Iterator[int]:
    """A photo host in another process; its port."""
    command = [sys.executable, "-m", "bench.photo_host"]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None  # noqa: S101 (asked for above)
        try:
            yield int(host.stdout.readline().split()[1])
        finally:
            host.kill()


def write_index(root: Path, *, rows: int, path: str) -> None:
    """A photo index of `rows` photographs at `http://photos.test/<path>/<number>/large.jpg`, in pieces."""
    table = Paths(data_root=root).table("photo_index")
    table.parent.mkdir(parents=True, exist_ok=True)
    schema: pa.Schema = CONTRACTS["photo_index"].schema
    with atomic_path(table) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for begin in range(0, rows, _CHUNK):
            numbers = range(begin, min(begin + _CHUNK, rows))
            columns: dict[str, list[str | None]] = {
                name: [f"{number:09d}" for number in numbers] for name in schema.names
            }
            columns["other_url"] = [None] * len(numbers)
            columns["url"] = [f"http://photos.test/{path}/{number}/large.jpg" for number in numbers]
            writer.write_table(pa.table(columns, schema=schema))


def write_attempts(root: Path, *, rows: int, path: str) -> None:
    """The record of a run that found the first `rows` photographs of `write_index` gone a moment ago."""
    attempts = Paths(data_root=root).attempts
    attempts.mkdir(parents=True)
    moment = now()
    with pq.ParquetWriter(attempts / "000001.parquet", SEALED, compression="zstd") as writer:
        for begin in range(0, rows, _CHUNK):
            numbers = range(begin, min(begin + _CHUNK, rows))
            columns: dict[str, list[object]] = {name: [None] * len(numbers) for name in SEALED.names}
            columns |= {
                "photo_id": [f"{number:09d}" for number in numbers],
                "url": [f"http://photos.test/{path}/{number}/large.jpg" for number in numbers],
                "attempt": [1] * len(numbers),
                "status": ["gone"] * len(numbers),
                "http_status": [404] * len(numbers),
                "error": ["answered 404 Not Found"] * len(numbers),
                "fetched_at": [moment] * len(numbers),
                "line": list(numbers),
            }
            writer.write_table(pa.table(columns, schema=SEALED))


def _contestants(folder: Path, *, port: int, photos: int = PHOTOS) -> dict[str, Callable[[], Sample]]:
    """Each fetches all photographs into a new folder."""
    bare = [sys.executable, "-m", "bench.bare_fetch", "--photos", str(photos), "--port", str(port)]
    ours = [sys.executable, "-m", "bench.fetch_ours", "--port", str(port)]

    def one(command: Sequence[str], option: str, *, number: int = photos) -> Callable[[], Sample]:
        return lambda: _run(command, option, folder=folder, photos=number)

    chosen = {"naturewatch": one(ours, "--root="), "bare loop": one(bare, "--folder=")}
    img2dataset = python_of("img2dataset")
    if img2dataset is not None:
        urls = folder / f"urls-{photos}.txt"
        urls.write_text("".join(f"http://127.0.0.1:{port}/photos/{number}/large.jpg\n" for number in range(photos)))
        # Its own defaults, but for what the measurement is about: files, and bodies left as they came.
        command = [str(img2dataset.with_name("img2dataset")), f"--url_list={urls}"]
        command += ["--output_format=files", "--disable_all_reencoding=True"]
        chosen["img2dataset, no verification"] = one(command, "--output_folder=")
    gbif_dl = python_of("gbif-dl")
    if gbif_dl is not None:
        few = min(photos, FEW)
        chosen["gbif-dl, no verification"] = one([str(gbif_dl), "-c", GBIF_DL, str(port), str(few)], "", number=few)
    return chosen


def _run(command: Sequence[str], option: str, *, folder: Path, photos: int) -> Sample:
    """One run into a new folder, which stays until the end: deleting a gigabyte slows the file system for the next."""
    out = folder / "out" / uuid4().hex
    write_index(out, rows=photos, path="photos")
    os.sync()
    fill_page_cache(folder)
    sample = measure([*command, f"{option}{out}"], cwd=PROJECT_ROOT, environment={"NO_ALBUMENTATIONS_UPDATE": "1"})
    stored = sum(1 for path in out.rglob("*.jpg") if path.is_file())
    if stored != photos:
        raise RuntimeError(f"{command[0]} stored {stored} of {photos} photographs; the measurement is void")
    return sample


def _memory(folder: Path, *, port: int, rows: int) -> Sample:
    """The fetcher on an index of `rows` photographs, of which it asks for the last ones."""
    out = folder / "out" / f"rows-{rows}"
    write_index(out, rows=rows, path="same")
    write_attempts(out, rows=rows - min(ROWS), path="same")
    command = [sys.executable, "-m", "bench.fetch_ours", "--root", str(out), "--port", str(port)]
    fill_page_cache(folder)
    sample = measure(command, cwd=PROJECT_ROOT)
    print(f"{rows:,} rows: peak {sample.peak_rss_bytes / 2**20:.0f} MiB, {sample.wall_seconds:.0f} s", flush=True)
    return sample


def _report(
    samples: Mapping[str, Sequence[Sample]], *, starts: Mapping[str, Sample], memory: Mapping[int, Sample]
) -> Report:
    def rates(name: str) -> list[float]:
        return [_photos_of(name) / sample.cpu_seconds for sample in samples[name]]

    def per_second(name: str) -> list[float]:
        return [_photos_of(name) / sample.wall_seconds for sample in samples[name]]

    rows: list[dict[str, object]] = []
    for name, taken in samples.items():
        running = [_photos_of(name) / (sample.cpu_seconds - starts[name].cpu_seconds) for sample in taken]
        rows.append(
            {
                "contestant": name,
                "photographs": f"{_photos_of(name):,}",
                "per CPU-second": median_and_spread(rates(name)),
                "without its start": median_and_spread(running),
                "per second": median_and_spread(per_second(name)),
                "peak MiB": f"{max(sample.peak_rss_bytes for sample in taken) / 2**20:,.0f}",
            }
        )
    for number, sample in memory.items():
        rows.append(
            {
                "contestant": f"naturewatch, the last {min(ROWS):,} of {number:,}",
                "photographs": f"{min(ROWS):,}",
                "per CPU-second": f"{min(ROWS) / sample.cpu_seconds:,.0f}",
                "per second": f"{min(ROWS) / sample.wall_seconds:,.0f}",
                "peak MiB": f"{sample.peak_rss_bytes / 2**20:,.0f}",
            }
        )
    goals = [
        Goal(
            name="photographs per CPU-second, as a multiple of what two hosts are asked for in a second",
            value=statistics.median(rates("naturewatch")) / ASKED,
            bound=10.0,
            kind="at least",
        ),
        Goal(
            name=f"peak memory with {max(ROWS):,} photographs, GiB",
            value=memory[max(ROWS)].peak_rss_bytes / 2**30,
            bound=2.0,
            kind="at most",
        ),
    ]
    return Report(
        part="fetch",
        title=f"{PHOTOS:,} photographs of about 33 KB from one loopback host into files; median (least to most)",
        rows=rows,
        goals=goals,
        notes=NOTES,
    )


def _photos_of(name: str) -> int:
    return FEW if name.startswith("gbif-dl") else PHOTOS
