"""The list of a place: which species were recorded there and near by, how often and in which months, by what is known.

Nothing is modelled: a species is listed because somebody recorded it, and its numbers are those of the records. They
say where observers went, not how common a species is.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ml.serving.common_names import CommonNames, folded
from pipeline.dataset.places import FIRST_YEAR
from pipeline.pages.place_circle import EARTH_KM, FARTHEST_KM, Circle, direction
from pipeline.pages.place_taxa import Within, find_taxa, leaf_keys, read_tree
from pipeline.pages.web_addresses import Catalogue
from pipeline.paths import Paths
from pipeline.query import connect, fetch, hold, rows

if TYPE_CHECKING:
    import duckdb

RADIUS_KM: Final = 25.0
"""The radius where none is asked for: a day's way, and about the size of the cells (22 to 31 km) within which
iNaturalist obscures the places of threatened species, so that a smaller circle would not be more exact for them."""
MOST_UNCERTAIN_KM: Final = 32.0
"""A record that is less certain does not count; the cell of an obscured record is at most 31.4 km across."""
LEAST_NEAR_KM: Final = 10.0
"""What is near by reaches beyond the radius by this at least, and else by the radius once more."""
EVERY_MONTH: Final = range(1, 13)
BATCH: Final = 1_000
"""Occurrences among which the nearest record of an empty place is looked for at a time."""
CELLS: Final = 400
"""Cells from the place to the end of the map: no smaller ones can be told apart on it."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of species beside their records."""

    found_at: Catalogue
    """Where GBIF shows them."""
    min_images: int
    """The least number of photographs of a species that is learnt (`split.min_images`)."""
    named: Collection[str] | None = None
    """Keys of the species that the model can name; None: those of the dataset."""
    names: CommonNames = field(default_factory=CommonNames)
    """Common names; a key counts for more than a scientific name."""


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """How much of what can be recorded at a place was recorded, from species that were recorded once or twice."""

    once: int
    """Species with one record."""
    estimated: float | None
    """Species at least, by Chao's estimator (Chao 1984, bias-corrected); None where every species has one record."""
    unseen: float | None
    """Probability that a next record is of a species that is not in the list (Chao and Jost 2012); None as before."""


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The nearest record of an empty list."""

    species: str
    distance_km: float
    direction: str
    """From the place: `north-east`."""


@dataclass(frozen=True, kw_only=True)
class PlaceList:
    """What was recorded at a place, and near by."""

    circle: Circle
    near_km: float
    """How far from the place `near` reaches."""
    month: int | None
    """The month that was asked for."""
    months: tuple[int, ...]
    """The months that count: that one and its two neighbours; empty: all."""
    within: tuple[str, ...]
    """Lineages of the taxa that the list is narrowed to."""
    here: list[dict[str, Any]]
    """The species of the months that count, the one with most records first. Each row has `species`, `taxon_key`, the
    ranks above, `records` (of all months), `records_in_season` (of the months that count), `share` (of all records
    that count), `perhaps_outside` (records whose circle of uncertainty reaches beyond the radius), `obscured`,
    `nearest_km`, `first_year`, `last_year`, `months` (records of each of the twelve), `named` (whether the model can
    name the species), `photographs_missing` (until it can be learnt; None where it is), `common_name` and `gbif`."""
    other_months: list[dict[str, Any]]
    """Species that were recorded here, but in other months only; rows as in `here`."""
    near: list[dict[str, Any]]
    """Species that were recorded near by only, the nearest first; `records` and `months` are of near by."""
    records: int
    """Records here, in the months that count."""
    by_month: list[int]
    """Records here in each of the twelve months, of any species."""
    undated: int
    """Records here of no known month."""
    completeness: Completeness | None
    """None where nothing was recorded here in the months that count."""
    nearest: Nearest | None
    """Where nothing was recorded here: the nearest record of all months, if there is any."""
    points: list[dict[str, Any]]
    """Where the records are, in cells of `CELLS`: latitude, longitude, obscured, here, records; empty if not asked."""


def place_list(
    paths: Paths,
    circle: Circle,
    *,
    month: int | None = None,
    within: Sequence[str] = (),
    known: Known,
    mapped: bool = False,
) -> PlaceList:
    """Look up the clean occurrences around a place; those of species that are too rare to be learnt, too.

    A record counts where its circle of uncertainty touches the radius; `pipeline.dataset.places` says which places and
    days count at all.

    Args:
        paths: The files of the scope.
        circle: The place, and how far around it.
        month: 1 to 12; its records and those of its two neighbours count. None: all months.
        within: Names, keys or lineages of taxa; the list has only what is in one of them.
        known: What is known of species beside their records.
        mapped: Whether the places of the records are looked up, too, for a map.

    Raises:
        TableError: a table of the dataset is missing, or lacks columns because older code wrote it.
        ListError: a taxon is unknown, or its name is that of several.
    """
    tree = read_tree(paths.table("taxonomy"))
    taxa = find_taxa(paths, tree, within)
    months = () if month is None else tuple((month + step - 1) % 12 + 1 for step in (-1, 0, 1))
    near_km = circle.radius_km + max(circle.radius_km, LEAST_NEAR_KM)
    with connect(inputs={"all_occurrences": paths.table("clean_occurrences")}) as connection:
        _look(connection, circle, near_km=near_km, taxa=taxa)
        found = fetch(connection, "place_species", months=list(months))
        points = fetch(connection, "place_points", **_cells(circle, near_km)) if mapped else []
        nearest = None if any(row["records"] for row in found) else _nearest(connection, circle, near_km, taxa)
    _tell(found, paths, learnt=leaf_keys(tree), known=known)
    here, other_months, near = _sorted_out(found)
    by_month = [sum(row["months"][each] for row in (*here, *other_months)) for each in range(12)]
    return PlaceList(
        circle=circle,
        near_km=near_km,
        month=month,
        months=months,
        within=tuple(taxon.text for taxon in taxa),
        here=here,
        other_months=other_months,
        near=near,
        records=sum(row["records_in_season"] for row in here),
        by_month=by_month,
        undated=sum(row["records"] for row in (*here, *other_months)) - sum(by_month),
        completeness=completeness([row["records_in_season"] for row in here]) if here else None,
        nearest=nearest,
        points=points,
    )


def completeness(records: Sequence[int]) -> Completeness:
    """How complete a list is.

    Chao's lower bound of the number of species is S + (n - 1) / n * a (a - 1) / (2 (b + 1)), with S species in n
    records, a of them with one record and b with two (Chao 1984, Scandinavian Journal of Statistics 11). The
    probability that a next record is of another species is one less the coverage of the sample (Chao and Jost 2012,
    Ecology 93, equation 4a). Both take records for a random sample of what can be recorded, which they hardly are.

    Args:
        records: Records of each species, 1 or more.
    """
    total, once, twice = sum(records), sum(number == 1 for number in records), sum(number == 2 for number in records)
    if once == total:
        return Completeness(once=once, estimated=None, unseen=None)
    estimated = len(records) + (total - 1) / total * once * (once - 1) / (2 * (twice + 1))
    # Without a species of two records, the formula for that case.
    part, twos = (once, 2 * twice) if twice else (once - 1, 2)
    unseen = once / total * (total - 1) * part / ((total - 1) * part + twos) if once else 0.0
    return Completeness(once=once, estimated=estimated, unseen=unseen)


def _look(connection: "duckdb.DuckDBPyConnection", circle: Circle, *, near_km: float, taxa: Sequence[Within]) -> None:
    """Make the table `records` of a connection: the occurrences in the taxa that are here or near by."""
    box = replace(circle, radius_km=near_km + MOST_UNCERTAIN_KM).box()
    keys = [key for taxon in taxa for key in taxon.keys]
    hold(connection, "clean_occurrences", "box_occurrences", taxon_keys=keys, **asdict(box))
    _judge(connection, circle, near_km=near_km)


def _judge(connection: "duckdb.DuckDBPyConnection", circle: Circle, *, near_km: float) -> None:
    """Make the table `records` of what the table `clean_occurrences` of a connection holds."""
    hold(connection, "split", "one_sided")
    hold(connection, "places", "places", most_uncertain=1000 * MOST_UNCERTAIN_KM, first_year=FIRST_YEAR)
    hold(connection, "records", "place_records", **asdict(circle), near_km=near_km)


def _cells(circle: Circle, near_km: float) -> dict[str, float]:
    """The cells of a map in degrees; a degree of longitude is nowhere taken for shorter than at 89 degrees north."""
    height = math.degrees(near_km / EARTH_KM) / CELLS
    return {
        "rows": height,
        "columns": height / max(math.cos(math.radians(circle.latitude)), math.cos(math.radians(89))),
    }


def _nearest(
    connection: "duckdb.DuckDBPyConnection", circle: Circle, near_km: float, taxa: Sequence[Within]
) -> Nearest | None:
    """The nearest record: of the nearest coordinates, or of some farther away if those do not count."""
    keys = [key for taxon in taxa for key in taxon.keys]
    beyond: float | None = near_km
    while beyond is not None:
        for row in fetch(connection, "nearest_record"):
            to = (row["latitude"], row["longitude"])
            way = direction(circle.latitude, circle.longitude, to=to)
            return Nearest(species=row["species"], distance_km=row["distance_km"], direction=way)
        place = {"latitude": circle.latitude, "longitude": circle.longitude}
        hold(
            connection,
            "clean_occurrences",
            "nearest_occurrences",
            **place,
            beyond_km=beyond,
            taxon_keys=keys,
            most=BATCH,
        )
        (reached,) = connection.execute("select max(distance_km) from clean_occurrences").fetchone() or (None,)
        _judge(connection, circle, near_km=2 * FARTHEST_KM)
        beyond = reached
    return None


def _tell(found: Sequence[dict[str, Any]], paths: Paths, *, learnt: Collection[str], known: Known) -> None:
    """Add to each row what is known of the species beside its records."""
    photographs = {}
    if rare := [row["taxon_key"] for row in found if row["taxon_key"] not in learnt]:
        inputs = {name: paths.table(name) for name in ("rejections", "photos", "clean_occurrences")}
        some = rows("missing_photographs", inputs=inputs, species_keys=rare)
        photographs = {row["species_key"]: row["photographs"] for row in some}
    named = learnt if known.named is None else known.named
    for row in found:
        key, name = row["taxon_key"], row["species"]
        row["common_name"] = known.names.by_key.get(key) or known.names.by_name.get(folded(name))
        row["gbif"] = known.found_at.address(name, key)
        row["named"] = key in named
        row["photographs_missing"] = None if key in learnt else max(1, known.min_images - photographs.get(key, 0))


def _sorted_out(found: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], ...]:
    """The species of the months that count, those of other months, and those of near by, as `PlaceList` describes."""
    total = sum(row["records_in_season"] for row in found)
    here, other_months, near = [], [], []
    for row in found:
        away, counts, counts_near = row.pop("records_near"), row.pop("months"), row.pop("months_near")
        row["share"] = row["records_in_season"] / total if total else 0.0
        row["months"] = _twelve(counts if row["records"] else counts_near)
        if row["records_in_season"]:
            here.append(row)
        elif row["records"]:
            other_months.append(row)
        else:
            near.append(row | {"records": away})
    near.sort(key=lambda row: (row["nearest_km"], row["species"], row["taxon_key"]))
    return here, other_months, near


def _twelve(counts: Mapping[int, int] | None) -> list[int]:
    """Records of each month, from those of the months that have some."""
    return [(counts or {}).get(month, 0) for month in EVERY_MONTH]
