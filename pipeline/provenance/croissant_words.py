"""What the Croissant description of a dataset says in words: what it is, how it came about, where it misleads."""

from dataclasses import dataclass
from typing import Final

from pipeline.comparison.wording import counted, listed, percent
from pipeline.config.settings import Settings
from pipeline.dataset.attribution import licence_statement
from pipeline.dataset.manifest import DatasetManifest
from pipeline.gbif.source import SourceRecord
from pipeline.provenance.citing import how_to_cite

CREATOR: Final = "The observers and photographers who are named in attribution.parquet"
KEYWORDS: Final = ("biodiversity", "species identification", "image classification", "taxonomy", "community science")
TABLES: Final = {
    "split": "One row for each photograph of a class: its species, its side, and the observation that it belongs to.",
    "taxonomy": "The tree of the species, in preorder, from the root to the classes.",
    "genus_photos": "Photographs of species too rare to be classes, by genus; the genus stage learns from them, too.",
    "attribution": "Licence, holder, creator and address of every photograph. Credit it wherever you show it.",
}
"""The kept tables, for people."""
ADDRESSES: Final = "The column url of attribution.parquet: where the photographs are."
PHOTOGRAPHS: Final = (
    "The photographs, at the addresses of attribution.parquet; they are not part of this folder. Fetch them with "
    "NatureWatch, or as slowly as their hosts ask for."
)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The row of `spread.sql`: over which observations, places and seasons the photographs spread."""

    observations: int
    countries: int
    country: str | None
    """The most frequent one."""
    first_date: str | None
    last_date: str | None
    dated: int
    """Photographs with a month."""
    busiest_quarter: int
    """Photographs of the three months that have most."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """A dataset version, and what is told of it."""

    settings: Settings
    manifest: DatasetManifest
    source: SourceRecord
    spread: Spread
    licences: dict[str, int]
    """Photographs under each licence."""


def name(described: Described) -> str:
    """`NatureWatch sample, dataset 0123456789abcdef`."""
    return f"NatureWatch {described.manifest.scope}, dataset {described.manifest.dataset_version}"


def description(described: Described) -> str:
    """What the dataset is."""
    manifest, counts, split = described.manifest, described.manifest.counts, described.settings.split
    return (
        f"Photographs of {counted(counts['species'], 'species', 'species')} with their taxonomy, for training and "
        f"judging networks that name organisms: {counted(counts['train'], 'training photograph')} and "
        f"{counted(counts['validation'], 'validation photograph')} of "
        f"{counted(described.spread.observations, 'observation')}, divided by {split.unit}. A species has at least "
        f"{counted(split.min_images, 'usable photograph')}. Source: {manifest.source}."
    )


def licence(photographs: int) -> str:
    """Of how many photographs it is the licence."""
    return f"Licence of {counted(photographs, 'photograph')}; attribution.parquet says of which."


def citation(described: Described) -> str:
    """How to cite the data, or that they cannot be cited."""
    manifest = described.manifest
    # What the replica made up is told by its origin.
    citation = None if described.source.mode == "replica" else manifest.citation
    own = described.source.mode == "folder"
    return how_to_cite(source=manifest.source, citation=citation, doi=manifest.doi, own=own)


def responsible(described: Described) -> dict[str, str | list[str]]:
    """The terms of Croissant RAI 1.0, by their names there."""
    told: dict[str, str | list[str]] = {
        "dataCollection": _collection(described),
        "dataBiases": _biases(described),
        "dataLimitations": _limitations(described),
        "dataUseCases": [
            "Training and judging networks that name the species, or a higher taxon, on a photograph of an organism.",
            "Not for maps of where species live, for trends or for counts: photographs show what people chose to see.",
        ],
        "personalSensitiveInformation": _personal(described),
        "dataReleaseMaintenancePlan": (
            "Each snapshot of the source makes a new version under a hash of its content; earlier ones stay as they "
            "are. Photographs that their holders withdraw, and records that GBIF removes, are missing from the next."
        ),
    }
    frame = [date for date in (described.spread.first_date, described.spread.last_date) if date and len(date) == 10]
    return told | ({"dataCollectionTimeFrame": frame} if len(frame) == 2 else {})


def _collection(described: Described) -> str:
    own = (
        "The photographs and their names are the owner's own, from a table; nobody else has confirmed the names."
        if described.settings.own_photographs
        else "The records and pictures were drawn in code, to try NatureWatch with."
        if described.source.mode == "replica"
        else "People photographed organisms that they came across and uploaded them; others confirmed the names "
        "(research grade, where the records are iNaturalist's). GBIF publishes the records and matches the names to a "
        "checklist."
    )
    return (
        f"{own} NatureWatch fetched {described.manifest.counts['photos_ok']:,} photographs and removed records and "
        f"photographs by rules; each removed row has a line with its rule. Source: {described.manifest.source}."
    )


def _biases(described: Described) -> list[str]:
    spread, counts = described.spread, described.manifest.counts
    observers = (
        "Observers: a few people make most observations, and each prefers certain organisms, poses and cameras. "
        f"There are {counts['split'] / max(spread.observations, 1):.1f} photographs to an observation."
    )
    told = [observers, _places(spread)]
    if spread.dated:
        share = percent(spread.busiest_quarter / spread.dated)
        told.append(f"Seasons: {share} of the dated photographs were taken in the three busiest months of the year.")
    return [*told, "Species: large, showy and common ones have many photographs, most others few (a long tail)."]


def _places(spread: Spread) -> str:
    """Where the observations are; unknown for records without a country."""
    if not spread.countries:
        return "Places: the records name no country. People photograph where they live and travel."
    where = f"country {spread.country} alone" if spread.countries == 1 else f"{spread.countries:,} countries"
    most = "" if spread.countries == 1 else f", most of all {spread.country}"
    return f"Places: {where}{most}; within them, near towns and paths more than elsewhere."


def _limitations(described: Described) -> list[str]:
    gaps = described.manifest.gaps.get(described.settings.split.unit, {}).get("without_validation", ())
    leaked = described.manifest.leakage.get("leaked", 0)
    told = ["Names can be wrong: an identification is an agreement of people, who see no more than the photograph."]
    if gaps:
        some = listed([*gaps[:5], f"{len(gaps) - 5:,} more"] if len(gaps) > 5 else list(gaps))
        told.append(f"{counted(len(gaps), 'species', 'species')} without a validation photograph: {some}.")
    if leaked:
        told.append(f"{counted(leaked, 'validation photograph')} looking nearly like a training photograph.")
    return [*told, licence_statement(described.licences)]


def _personal(described: Described) -> list[str]:
    holders = "Names or account names of photographers are in attribution.parquet: their licences ask for the credit."
    if described.source.mode == "replica" and not described.settings.own_photographs:
        return ["None: the names of photographers are made up."]
    return [
        holders,
        "Photographs may show people, and their files may hold a place and a time. The tables hold no coordinates.",
    ]
