"""The list of a place among ten million occurrences: a town, the countryside, a taxon, a wide circle, an empty sea.

`run` prepares and measures; `python -m bench.place_list DATA_ROOT` is the child that is measured, list after list.
"""

import json
import sys
import time
from pathlib import Path
from typing import Final

from bench.harness import Goal, Report, Sample, alternate, measure, median_and_spread
from pipeline.pages.place_circle import Circle
from pipeline.pages.place_list import Known, place_list
from pipeline.pages.web_addresses import Catalogue
from pipeline.paths import Paths
from pipeline.query import connect, literal, parquet, to_parquet

OCCURRENCES: Final = 10_000_000
SPECIES: Final = 20_000
RARE: Final = 5
"""Of so many species, one has too few photographs to be learnt."""
ASKED: Final = {
    "town": (Circle(latitude=52.0, longitude=10.0, radius_km=25.0), ()),
    "countryside": (Circle(latitude=41.3, longitude=21.7, radius_km=25.0), ()),
    "taxon": (Circle(latitude=52.0, longitude=10.0, radius_km=25.0), ("Class3",)),
    "wide": (Circle(latitude=52.0, longitude=10.0, radius_km=100.0), ()),
    "empty": (Circle(latitude=-60.0, longitude=-130.0, radius_km=25.0), ()),
}
"""The lists that are asked for, with their taxa. A town has a hundredth of the occurrences, the countryside a tenth of
all on half a continent."""
_NOTE: Final = (
    "Most of it is reading latitude and longitude of every occurrence: the table is in the order of its keys, so that "
    "little of the file can be passed over. A list with species that are too rare also counts their photographs, in a "
    "table of as many rows."
)
_SPECIES: Final = """
    select
        s::varchar as taxon_key, 'checklist' as checklist_key, 'Kingdom' || s % 3 as kingdom,
        'Phylum' || s % 12 as phylum, 'Class' || s % 60 as class, 'Order' || s % 300 as "order",
        'Family' || s % 1500 as family, 'Genus' || s % 6000 as genus, 'Genus' || s % 6000 || ' species' || s as species,
        'k' || s % 3 as kingdom_key, 'p' || s % 12 as phylum_key, 'c' || s % 60 as class_key,
        'o' || s % 300 as order_key, 'f' || s % 1500 as family_key, 'g' || s % 6000 as genus_key,
        5 as photos, 5 as observations
    from range($species) as numbers(s)
"""
_OCCURRENCES: Final = """
    with drawn as (
        select
            i, floor($species * pow(random(), 3))::bigint as s, floor(100 * random())::integer as town,
            sqrt(-2 * ln(1 - random())) as away, 2 * pi() * random() as way, random() as a, random() as b,
            random() as hidden, random() < 0.9 as in_town, date '2010-01-01' + floor(5000 * random())::integer as day
        from range($occurrences) as numbers(i)
    )

    select
        (1000000000 + i)::varchar as occurrence_key, (500000000 + i)::varchar as observation_id, species.* exclude (
            taxon_key, photos, observations
        ),
        taxon_key as species_key, 'DE' as country, 'COORDINATE_ROUNDED' as issue,
        day::varchar || 'T10:20:30' as event_date,
        if(in_town, 52 - 17 * (town % 10) / 10 + 0.15 * away * cos(way), 35 + 25 * a) as decimal_latitude,
        if(in_town, 10 + 3 * (town // 10) + 0.2 * away * sin(way), -10 + 50 * b) as decimal_longitude,
        if(hidden < 0.05, 27500.0, 10.0) as coordinate_uncertainty_m,
        if(hidden < 0.05, 'Coordinate uncertainty increased to 27500m', null) as information_withheld,
        left(md5((i % 50000)::varchar), 16) as observer
    from drawn
    inner join species on drawn.s::varchar = species.taxon_key
    order by i
"""

_REJECTIONS: Final = """
    select
        'p' || occurrence_key as key, 'species' as stage, 'too_few_images' as rule
    from occurrences
    where species_key::bigint % $rare = 0 and occurrence_key like '%7'
"""


def run(*, folder: Path, runs: int) -> Report:
    """Measure lists of several places, each in CPU seconds of DuckDB and Python together."""
    if not (folder / "tables" / "rejections.parquet").exists():
        _prepare(folder)
    samples = alternate({"lists": lambda: _child(folder)}, runs=runs)["lists"]
    usual = max(sample.facts["countryside"] for sample in samples)
    return Report(
        part="place_list",
        title=f"Lists of places among {OCCURRENCES:,} occurrences of {SPECIES:,} species, a fifth of them too rare.",
        rows=[
            {
                "list": name,
                "records here": f"{samples[0].facts[f'{name}_records']:,.0f}",
                "CPU seconds": median_and_spread([sample.facts[name] for sample in samples], digits=2),
                "seconds": median_and_spread([sample.facts[f"{name}_wall"] for sample in samples], digits=2),
            }
            for name in ASKED
        ],
        goals=[Goal(name="countryside, CPU seconds", value=usual, bound=3.0, kind="at most")],
        notes=[
            f"Peak memory of the process: {max(sample.peak_rss_bytes for sample in samples) / 2**20:,.0f} MiB.",
            _NOTE,
        ],
    )


def _prepare(folder: Path) -> None:
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    with connect(inputs={}, spill=folder / "spill") as connection:
        connection.execute("select setseed(0.5)")

        def write(name: str, query: str, **parameters: int) -> None:
            to = literal(str(tables / f"{name}.parquet"))
            connection.execute(f"copy (\n{query}\n) to {to} (format parquet, compression zstd)", parameters or None)

        connection.execute(f"create table species as {_SPECIES}", {"species": SPECIES})
        write("species", "select * from species where taxon_key::bigint % $rare > 0", rare=RARE)
        write("clean_occurrences", _OCCURRENCES, species=SPECIES, occurrences=OCCURRENCES)
        places = parquet(tables / "clean_occurrences.parquet")
        connection.execute(f"create view occurrences as select * from {places}")  # noqa: S608 (a file of this module)
        write("photos", "select 'p' || occurrence_key as photo_id, occurrence_key, 'ok' as status from occurrences")
        write("rejections", _REJECTIONS, rare=RARE)
    to_parquet("taxonomy", inputs={"species": tables / "species.parquet"}, output=tables / "taxonomy.parquet")


def _child(folder: Path) -> Sample:
    return measure([sys.executable, "-m", "bench.place_list", str(folder)])


def _measure(folder: Path) -> dict[str, float]:
    """CPU seconds, seconds and records of each list."""
    known = Known(found_at=Catalogue(prefix="", by_key=False), min_images=5)
    facts: dict[str, float] = {}
    for name, (circle, within) in ASKED.items():
        began, cpu = time.perf_counter(), time.process_time()
        found = place_list(Paths(data_root=folder), circle, within=within, known=known)
        facts[name], facts[f"{name}_wall"] = time.process_time() - cpu, time.perf_counter() - began
        facts[f"{name}_records"] = found.records
    return facts


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]))))
