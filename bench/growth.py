"""The photo index and the comparison of snapshots over generated tables, within 2 GiB of DuckDB's memory.

Run by `python -m bench growth`. Each step is a child of its own, so that its peak is its own.
"""

import json
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Final

from bench.harness import Goal, Report, Sample, alternate, measure, median_and_spread
from pipeline.history.changes import NOTHING
from pipeline.photos.index import SIZED, WEB
from pipeline.query import connect, copy, count

MEDIA: Final = 2_000_000
PHOTOGRAPHS: Final = 10_000_000
LIMIT: Final = "2 GiB"
"""DuckDB's own limit; what is over it is spilled below the bench's folder."""
MOST: Final = 3 * 2**30
"""Bytes of the whole process, Python and DuckDB's unaccounted buffers included."""

_OCCURRENCES: Final = """
    select i::varchar as occurrence_key, 'o' || i as observation_id, (i % 20000)::varchar as species_key,
        'Genus species' || (i % 20000) as species
    from range({rows} // 2) t(i)
"""
_MEDIA: Final = """
    select (i // 2)::varchar as occurrence_key, (i % 2)::integer as position,
        'https://inaturalist-open-data.s3.amazonaws.com/photos/' || (i - i % 50 // 49) || '/original.jpg' as url,
        'image/jpeg' as format, 'StillImage' as type, 'http://creativecommons.org/licenses/by-nc/4.0/' as licence,
        'user' || i % 9999 as rights_holder, 'user' || i % 9999 as creator, null::varchar as reference
    from range({rows}) t(i)
"""
# Every hundredth photograph is gone, re-identified or relicensed, each in turn; three in a hundred are new.
_SNAPSHOT: Final = """
    with numbered as (
        -- Numbers with gaps, and occurrences in an order of their own, compress like GBIF's.
        select i, 300000000 + 37 * i + hash(i) % 37 as photo, 1000000000 + hash(i // 2) % 4000000000 as occurrence,
            hash(i) % 100000 + if(i % 300 = 100 and {snapshot} = 2, 1, 0) as species
        from range({rows}) t(i)
        where ({snapshot} = 1 and i % 100 < 97) or ({snapshot} = 2 and i % 300 <> 0)
    )
    select photo::varchar as photo_id, occurrence::varchar as occurrence_key, species::varchar as species_key,
        'Genus species' || species as species,
        if(i % 300 = 200 and {snapshot} = 2, 'CC0', ['CC-BY', 'CC-BY-NC'][1 + i % 2]) as licence,
        'https://inaturalist-open-data.s3.amazonaws.com/photos/' || photo || '/large.jpg' as url
    from numbered
    order by photo_id
"""


def run(*, folder: Path, runs: int) -> Report:
    """Measure the steps and report."""
    folder.mkdir(parents=True, exist_ok=True)
    _prepare(folder)
    steps = {
        f"photo index, {MEDIA:,} media rows": "index",
        f"first snapshot, {PHOTOGRAPHS:,} photographs": "first",
        f"next snapshot, {PHOTOGRAPHS:,} photographs": "next",
    }
    contestants = {name: partial(_measured, step, folder) for name, step in steps.items()}
    samples = alternate(contestants, runs=runs)
    peak = max(sample.peak_rss_bytes for found in samples.values() for sample in found)
    size = (folder / "snapshot1.parquet").stat().st_size / count(folder / "snapshot1.parquet")
    return Report(
        part="growth",
        title=f"The photo index and the comparison of two snapshots, DuckDB's memory limited to {LIMIT}.",
        rows=[
            {
                "step": name,
                "seconds": median_and_spread([sample.wall_seconds for sample in found], digits=1),
                "peak GiB": median_and_spread([sample.peak_rss_bytes / 2**30 for sample in found], digits=2),
                "rows written": f"{statistics.median(sample.facts['rows'] for sample in found):,.0f}",
            }
            for name, found in samples.items()
        ],
        goals=[Goal(name="peak resident bytes of any step", value=float(peak), bound=float(MOST), kind="at most")],
        notes=[f"the remembered index of a snapshot takes {size:.1f} MB per million photographs"],
    )


def _measured(step: str, folder: Path) -> Sample:
    return measure([sys.executable, "-m", "bench.growth", step, str(folder)])


def _prepare(folder: Path) -> None:
    tables = {
        "clean_occurrences": _OCCURRENCES.format(rows=MEDIA),
        "media": _MEDIA.format(rows=MEDIA),
        "snapshot1": _SNAPSHOT.format(rows=PHOTOGRAPHS, snapshot=1),
        "snapshot2": _SNAPSHOT.format(rows=PHOTOGRAPHS, snapshot=2),
    }
    with connect(inputs={}) as connection:
        for name, query in tables.items():
            path = folder / f"{name}.parquet"
            if not path.exists():
                connection.execute(f"copy ({query}) to '{path}.partial' (format parquet, compression zstd)")
                Path(f"{path}.partial").replace(path)


def _step(step: str, folder: Path) -> int:
    """Rows that a step wrote."""
    inputs = {
        "index": {name: folder / f"{name}.parquet" for name in ("media", "clean_occurrences")},
        "first": {"earlier": NOTHING, "later": folder / "snapshot1.parquet"},
        "next": {"earlier": folder / "snapshot1.parquet", "later": folder / "snapshot2.parquet"},
    }[step]
    output = folder / f"{step}.out.parquet"
    with connect(inputs=inputs) as connection:
        connection.execute(f"set memory_limit = '{LIMIT}'")
        connection.execute(f"set temp_directory = '{folder / 'spill'}'")
        if step == "index":
            licences = ["CC-BY-NC"]
            copy(
                connection,
                "photo_index_verdicts",
                output=output,
                addresses=WEB,
                sized=SIZED,
                size="large",
                licences=licences,
                least=5,
            )
        else:
            copy(connection, "changes", output=output, same_checklist=True)
    return count(output)


if __name__ == "__main__":
    print(json.dumps({"rows": _step(sys.argv[1], Path(sys.argv[2]))}))
