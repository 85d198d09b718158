"""Simulated tables at the scale of the paper: species with a long tail, as GBIF and the fetcher would leave them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

PAPER_SPECIES, PAPER_PHOTOS, PAPER_WITHOUT_VALIDATION = 19_027, 1_214_141, 2_444
"""Section 4 of the paper, after the rule of five images; 16,583 species have a validation image."""
LARGEST = 10_000
"""Photographs of the commonest species."""


@dataclass(frozen=True, kw_only=True)
class Law:
    """P(a species has n photographs) is proportional to n ** -exponent, n from 1 to `LARGEST`."""

    exponent: float

    def probabilities(self) -> npt.NDArray[Any]:
        """Of 1, 2, ..., `LARGEST`."""
        weights: npt.NDArray[np.float64] = np.arange(1, LARGEST + 1, dtype=np.float64) ** -self.exponent
        return np.asarray(weights / weights.sum())

    def kept(self) -> float:
        """Share of species with at least five photographs."""
        return float(self.probabilities()[4:].sum())

    def mean_of_kept(self) -> float:
        """Photographs of a species that has at least five."""
        chances = self.probabilities()[4:]
        return float((chances * np.arange(5, LARGEST + 1)).sum() / chances.sum())

    def without_validation(self, *, validation: float = 0.2) -> float:
        """Share of the kept species whose photographs all fall to training: the sum of p(n) (1 - validation)^n."""
        chances = self.probabilities()[4:]
        return float((chances * (1 - validation) ** np.arange(5, LARGEST + 1)).sum() / chances.sum())

    def draw(self, species: int, *, seed: int) -> npt.NDArray[Any]:
        """Photographs of so many species."""
        dice = np.random.default_rng(seed)
        return dice.choice(np.arange(1, LARGEST + 1), size=species, p=self.probabilities())


def law_of_the_paper() -> Law:
    """The exponent that gives the paper's photographs per kept species, found by halving."""
    low, high = 1.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        if Law(exponent=middle).mean_of_kept() > PAPER_PHOTOS / PAPER_SPECIES:
            low = middle
        else:
            high = middle
    return Law(exponent=low)


def simulate(tables: Path, *, species: int, times: int, seed: int) -> None:
    """Write `occurrences`, `media` and `photos` of so many species, each with `times` what the law gives it.

    Three photographs come from two observations. One occurrence in fifty is odd (hybrids, genera, blanks), one in three
    hundred is there twice, one photograph in two hundred has the bytes of another of its species.
    """
    tables.mkdir(parents=True, exist_ok=True)
    counts = law_of_the_paper().draw(species, seed=seed) * times
    connection = duckdb.connect(config={"memory_limit": "6GB"})
    connection.execute("set enable_progress_bar = false")
    connection.register("counts", {"s": np.arange(species), "n": counts})
    connection.execute(_PHOTOGRAPHS)
    for name, query in (("occurrences", _OCCURRENCES), ("media", _MEDIA), ("photos", _PHOTOS)):
        connection.execute(f"copy ({query}) to '{tables / name}.parquet' (format parquet, compression zstd)")
    connection.close()


_PHOTOGRAPHS = """
create table photographs as
select s, i, s::bigint * 1000000 + (i * 2) // 3 as occurrence, row_number() over () as number
from (select s, unnest(range(n)) as i from counts)
"""

_OCCURRENCES = """
with records as (select distinct occurrence, s from photographs),
described as (
    select *, hash(occurrence) % 50 = 0 as odd, hash(occurrence, 1) % 300 = 0 as twice,
        'Genus' || (s // 5) || ' epithet' || s as name
    from records
),
rows as (
    select
        '4' || lpad(occurrence::varchar, 12, '0') as occurrence_key,
        occurrence::varchar as observation_id,
        '50c9509d-22c7-4a22-a47d-8c48425ef4a7' as dataset_key,
        '7ddf754f-d193-4cc9-b351-99906754a03b' as checklist_key,
        's' || s as taxon_key,
        'Kingdom' || (s // 40000) as kingdom, 'Phylum' || (s // 10000) as phylum,
        case when s % 17 <> 0 then 'Class' || (s // 2500) end as class,
        'Order' || (s // 500) as "order", 'Family' || (s // 50) as family, 'Genus' || (s // 5) as genus,
        case when not odd then name end as species,
        'CC_BY_NC_4_0' as licence, 'NZ' as country, '2017-03-01T10:11:12' as event_date,
        's' || s as accepted_taxon_key,
        'k' || (s // 40000) as kingdom_key, 'p' || (s // 10000) as phylum_key,
        case when s % 17 <> 0 then 'c' || (s // 2500) end as class_key,
        'o' || (s // 500) as order_key, 'f' || (s // 50) as family_key, 'g' || (s // 5) as genus_key,
        case when not odd then 's' || s end as species_key,
        name || case when odd and s % 2 = 0 then ' ' || chr(215) || ' other' else ' (Author, 1900)' end
            as scientific_name,
        case when odd then 'GENUS' else 'SPECIES' end as taxon_rank,
        'ACCEPTED' as taxonomic_status,
        'COORDINATE_ROUNDED;CONTINENT_DERIVED_FROM_COORDINATES' as issue,
        -40 + (hash(occurrence, 2) % 100000) / 10000.0 as decimal_latitude,
        170 + (hash(occurrence, 3) % 100000) / 10000.0 as decimal_longitude,
        25.0::double as coordinate_uncertainty_m, null::varchar as information_withheld,
        hash(occurrence, 4) % 20000 || ' observer' as observer,
        'PRESENT' as occurrence_status, null::double as individual_count, name as verbatim_name,
        null::varchar as identification_qualifier,
        twice
    from described
)
select * exclude (twice) from rows union all select * exclude (twice) from rows where twice
"""

_MEDIA = """
select
    '4' || lpad(occurrence::varchar, 12, '0') as occurrence_key,
    'https://inaturalist-open-data.s3.amazonaws.com/photos/' || number || '/original.jpg' as url,
    'image/jpeg' as format, 'StillImage' as type, 'http://creativecommons.org/licenses/by-nc/4.0/' as licence,
    'A. Holder' as rights_holder, 'A. Creator' as creator,
    'https://www.inaturalist.org/photos/' || number as reference,
    (row_number() over (partition by occurrence order by i) - 1)::integer as position
from photographs
"""

_PHOTOS = """
select
    number::varchar as photo_id,
    '4' || lpad(occurrence::varchar, 12, '0') as occurrence_key,
    'https://inaturalist-open-data.s3.amazonaws.com/photos/' || number || '/large.jpg' as url,
    'ok' as status, sha256(case when i % 200 = 199 then s || ':' || (i - 1) else s || ':' || i end) as sha256,
    'photos/' || number || '.jpg' as path, 'CC-BY-NC' as licence, 'A. Holder' as rights_holder,
    'A. Creator' as creator, null::varchar as error, 200 as http_status, 33000::bigint as bytes,
    500 as width, 375 as height, 1 as attempts, timestamp '2026-01-01' as fetched_at
from photographs
"""
