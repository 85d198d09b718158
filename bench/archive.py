"""Part `archive`: a synthetic Darwin Core Archive becomes Parquet, against DuckDB's own bare read of the same files."""

import json
import shutil
import statistics
import sys
import time
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import duckdb

from bench.harness import Goal, Report, Sample, alternate, measure, median_and_spread
from bench.synthetic_archive import MEDIA_PER_OCCURRENCE, write_archive
from pipeline.archive.description import TextFile, read_layout
from pipeline.archive.raw import WANTED
from pipeline.config.settings import Settings
from pipeline.gbif.client import Api
from pipeline.gbif.occurrences import MEMORY, build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.query import count

SIZES: Final = (1_000_000, 10_000_000)
"""Occurrences; media rows are twice as many. The goals are those of the last size."""
NOTES: Final = (
    """NatureWatch's time includes the start of Python, unpacking, the check of every line and of the archive's
    checksums, both tables and the rejections. Memory is that of the process tree, sampled every 50 ms.""",
    """The bare read is one process: Python's zipfile extracts the two texts, then DuckDB reads each with the columns
    named and the same reader options and copies the wanted ones, as they stand, to Parquet (zstd). It judges no line,
    traces no rejects, trims nothing. Between the two it reads the texts without writing, taking the minimum of every
    wanted column: the stricter measure. Its memory is over all its phases.""",
    f"Both give DuckDB {MEMORY}.",
    "The archive is made by bench/synthetic_archive.py: the same rows for the same size.",
)
MOST_RSS: Final = 4 * 2**30
MOST_RATIO: Final = 2.0


def run(*, folder: Path, runs: int, sizes: Sequence[int] = SIZES) -> Report:
    """Measure every size; the archives are kept in `folder` while the measurement runs."""
    rows: list[dict[str, object]] = []
    goals: list[Goal] = []
    for size in sizes:
        archive = write_archive(folder / f"{size}.zip", occurrences=size)
        text = sum(info.file_size for info in zipfile.ZipFile(archive).infolist())
        samples = alternate(
            {who: partial(_contestant, who, archive, folder) for who in ("NatureWatch", "bare read")},
            # The full size takes minutes and a good part of the disk: once is what it is measured.
            runs=runs if size < SIZES[-1] else 1,
        )
        ours, bare = samples["NatureWatch"], samples["bare read"]
        rows += [_row(size, text, "NatureWatch", ours, [each.wall_seconds for each in ours])]
        for name, phases in (
            ("bare: extract, copy to Parquet", ("extract", "copy")),
            ("bare: copy alone, texts extracted before", ("copy",)),
            ("bare: aggregate alone, texts extracted before", ("aggregate",)),
        ):
            rows.append(_row(size, text, name, bare, [sum(each.facts[phase] for phase in phases) for each in bare]))
        seconds = statistics.median(each.wall_seconds for each in ours)
        whole = statistics.median(each.facts["extract"] + each.facts["copy"] for each in bare)
        goals = [
            Goal(
                name=f"peak resident memory at {size:,} occurrences, GiB",
                value=max(each.peak_rss_bytes for each in ours) / 2**30,
                bound=MOST_RSS / 2**30,
                kind="at most",
            ),
            Goal(
                name=f"time over the bare read's (extract, copy) at {size:,}",
                value=seconds / whole,
                bound=MOST_RATIO,
                kind="at most",
            ),
        ]
        archive.unlink()
    return Report(
        part="archive",
        title=f"A Darwin Core Archive of up to {max(sizes):,} occurrences (241 columns) and "
        f"{max(sizes) * MEDIA_PER_OCCURRENCE:,} media rows becomes occurrences.parquet and media.parquet.",
        rows=rows,
        goals=goals,
        notes=[" ".join(note.split()) for note in NOTES],
    )


def _row(size: int, text: int, name: str, samples: Sequence[Sample], seconds: Sequence[float]) -> dict[str, object]:
    return {
        "occurrences": f"{size:,}",
        "contestant": name,
        "seconds": median_and_spread(seconds, digits=1),
        "rows per second": f"{size * (1 + MEDIA_PER_OCCURRENCE) / statistics.median(seconds):,.0f}",
        "text, MB per second": f"{text / 1e6 / statistics.median(seconds):,.0f}",
        "peak RSS, MiB": f"{max(each.peak_rss_bytes for each in samples) / 2**20:,.0f}",
    }


def _contestant(who: str, archive: Path, folder: Path) -> Sample:
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        return measure([sys.executable, "-m", "bench.archive", who, str(archive), str(work)])
    finally:
        shutil.rmtree(work)


def _naturewatch(archive: Path, work: Path) -> dict[str, float]:
    """What the assets gbif_download and occurrences do in mode `archive`."""
    settings = Settings.model_validate(
        {"name": "bench", "data_root": work, "source": {"mode": "archive", "archive": str(archive)}}
    )
    fetch_source(settings, api=Api(str(settings.source.api_url)), log=lambda _: None)
    build_occurrences(settings.paths, settings)
    return {name: count(settings.paths.table(name)) for name in ("occurrences", "media", "rejections")}


def _bare(archive: Path, work: Path) -> dict[str, float]:
    facts = {"extract": 0.0, "aggregate": 0.0, "copy": 0.0}
    layout = read_layout(archive)
    for name, file in (("multimedia", layout.multimedia), ("occurrence", layout.occurrence)):
        started = time.perf_counter()
        with zipfile.ZipFile(archive) as members:
            text = Path(members.extract(file.location, work))
        facts["extract"] += time.perf_counter() - started
        wanted = [f'"{column}"' for column in file.columns if column in WANTED[name]]
        reader = _reader(text, file)
        for phase, statement in (
            ("aggregate", f"select {', '.join(f'min({column})' for column in wanted)} from {reader}"),  # noqa: S608
            ("copy", f"copy (select {', '.join(wanted)} from {reader}) to '{work}/{name}.parquet' (compression zstd)"),  # noqa: S608
        ):
            started = time.perf_counter()
            with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(work / "spill")}) as connection:
                connection.execute(statement)
            facts[phase] += time.perf_counter() - started
        text.unlink()
    return facts


def _reader(text: Path, file: TextFile) -> str:
    columns = ", ".join(f"'{name or number}': 'VARCHAR'" for number, name in enumerate(file.columns))
    return (
        f"read_csv('{text}', delim='\t', quote='', escape='', comment='', header=false, skip={file.header_lines}, "
        f"auto_detect=false, columns={{{columns}}}, nullstr='', strict_mode=true)"
    )


def main() -> int:
    """Run one contestant in this process; the last line printed are its facts."""
    who, archive, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps((_naturewatch if who == "NatureWatch" else _bare)(archive, work)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
