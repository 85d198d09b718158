"""What can be asked about an occurrence: GBIF's search parameters as sets of values, and predicates over them."""

from collections.abc import Mapping
from typing import Any

from demo.gbif.dates import date_parts
from demo.gbif.licences import licence_code
from demo.records import RANKS, Occurrence

DATASET_KEY = "50c9509d-22c7-4a22-a47d-8c48425ef4a7"
CHECKLIST_KEY = "7ddf754f-d193-4cc9-b351-99906754a03b"
COUNTRY = "NZ"
MULTIMEDIA = "http://rs.gbif.org/terms/1.0/Multimedia"

Facets = Mapping[str, frozenset[str]]
_COMPARISONS = {"greaterThan", "greaterThanOrEquals", "lessThan", "lessThanOrEquals"}


# The issues by which GBIF says that a place cannot be right.
_GEOSPATIAL_ISSUES = {"ZERO_COORDINATE", "COORDINATE_INVALID", "COORDINATE_OUT_OF_RANGE", "COUNTRY_COORDINATE_MISMATCH"}


class PredicateError(Exception):
    """A download was asked for in terms that the replica does not understand."""


def has_geospatial_issue(occurrence: Occurrence) -> bool:
    """Whether GBIF doubts the place of an occurrence."""
    return not _GEOSPATIAL_ISSUES.isdisjoint(occurrence.issues)


def facets_of(occurrence: Occurrence) -> Facets:
    """The values of an occurrence by GBIF's search parameter (OccurrenceSearchParameter), upper case.

    TAXON_KEY holds the matched name, the accepted name and every ancestor, as a search by taxon at GBIF finds all
    that is below it.
    """
    taxon = occurrence.taxon
    keys = {rank: taxon.lineage[rank].key for rank in RANKS if rank in taxon.lineage}
    date = date_parts(occurrence.event_date)
    facets = {
        "TAXON_KEY": frozenset({taxon.taxon_key, taxon.accepted_key, *keys.values()} - {""}),
        "ACCEPTED_TAXON_KEY": frozenset({taxon.accepted_key} - {""}),
        "TAXON_RANK": frozenset({taxon.rank} - {""}),
        "TAXONOMIC_STATUS": frozenset({taxon.status} - {""}),
        "CHECKLIST_KEY": frozenset({CHECKLIST_KEY}),
        "DATASET_KEY": frozenset({DATASET_KEY}),
        "COUNTRY": frozenset({COUNTRY}),
        "PUBLISHING_COUNTRY": frozenset({"US"}),
        "YEAR": frozenset({date.year} - {""}),
        "MONTH": frozenset({date.month} - {""}),
        "MEDIA_TYPE": frozenset(media.type for media in occurrence.media),
        "DWCA_EXTENSION": frozenset({MULTIMEDIA} if occurrence.media else set()),
        "LICENSE": frozenset({licence_code(occurrence.licence)}),
        "BASIS_OF_RECORD": frozenset({"HUMAN_OBSERVATION"}),
        "OCCURRENCE_STATUS": frozenset({"PRESENT"}),
        "HAS_COORDINATE": frozenset({str(occurrence.latitude is not None).lower()}),
        "HAS_GEOSPATIAL_ISSUE": frozenset({str(has_geospatial_issue(occurrence)).lower()}),
        "ISSUE": frozenset(occurrence.issues),
        "GBIF_ID": frozenset({occurrence.gbif_id}),
        "CATALOG_NUMBER": frozenset({occurrence.observation_id}),
        "OCCURRENCE_ID": frozenset({f"https://www.inaturalist.org/observations/{occurrence.observation_id}"}),
    }
    return facets | {f"{rank.upper()}_KEY": frozenset({key}) for rank, key in keys.items()}


def known_parameters() -> frozenset[str]:
    """Every search parameter that the replica filters by."""
    fixed = {
        *("TAXON_KEY", "ACCEPTED_TAXON_KEY", "TAXON_RANK", "TAXONOMIC_STATUS", "CHECKLIST_KEY", "DATASET_KEY"),
        *("COUNTRY", "PUBLISHING_COUNTRY", "YEAR", "MONTH", "MEDIA_TYPE", "DWCA_EXTENSION", "LICENSE"),
        *("BASIS_OF_RECORD", "OCCURRENCE_STATUS", "HAS_COORDINATE", "HAS_GEOSPATIAL_ISSUE", "ISSUE", "GBIF_ID"),
        *("CATALOG_NUMBER", "OCCURRENCE_ID"),
    }
    return frozenset(fixed | {f"{rank.upper()}_KEY" for rank in RANKS})


def check_predicate(predicate: Any) -> None:  # noqa: ANN401 - it is what a stranger sent
    """Refuse a predicate that the replica could not evaluate.

    Raises:
        PredicateError: The predicate is not of GBIF's form, or uses a type or a key that is not served here.
    """
    if not isinstance(predicate, dict):
        raise PredicateError("A predicate must be a JSON object with a type")
    kind = predicate.get("type")
    if kind in {"and", "or"}:
        parts = predicate.get("predicates")
        if not isinstance(parts, list) or not parts:
            raise PredicateError(f"A predicate of type {kind} needs a list of predicates")
        for part in parts:
            check_predicate(part)
    elif kind == "not":
        check_predicate(predicate.get("predicate"))
    else:
        _check_leaf(predicate, kind=str(kind))


def _check_leaf(predicate: dict[str, Any], *, kind: str) -> None:
    field, needed = ("parameter", None) if kind in {"isNull", "isNotNull"} else ("key", "value")
    if kind == "in":
        needed = "values"
    elif needed and kind not in {"equals", *_COMPARISONS}:
        raise PredicateError(f"Unknown predicate type: {kind}")
    if predicate.get(field) not in known_parameters():
        raise PredicateError(f"Cannot parse {predicate.get(field)} into a known OccurrenceSearchParameter")
    if needed and predicate.get(needed) in (None, "", []):
        raise PredicateError(f"A predicate of type {kind} needs {needed}")
    if kind == "in" and not isinstance(predicate["values"], list):
        raise PredicateError("A predicate of type in needs a list of values")
    if kind in _COMPARISONS and not _is_number(predicate["value"]):
        raise PredicateError(f"A predicate of type {kind} needs a number, not {predicate['value']!r}")


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def matches(facets: Facets, predicate: Mapping[str, Any]) -> bool:
    """Whether an occurrence satisfies a checked predicate (GBIF's download predicates)."""
    kind = predicate["type"]
    if kind in {"and", "or"}:
        parts = (matches(facets, part) for part in predicate["predicates"])
        return all(parts) if kind == "and" else any(parts)
    if kind == "not":
        return not matches(facets, predicate["predicate"])
    return _leaf_matches(facets.get(str(predicate.get("key", predicate.get("parameter"))), frozenset()), predicate)


def _leaf_matches(held: frozenset[str], predicate: Mapping[str, Any]) -> bool:
    kind = str(predicate["type"])
    if kind in {"isNull", "isNotNull"}:
        return bool(held) == (kind == "isNotNull")
    if kind in {"equals", "in"}:
        wanted = predicate["values"] if kind == "in" else [predicate["value"]]
        folded = {_text(value).casefold() for value in wanted}
        return any(value.casefold() in folded for value in held)
    bound = float(predicate["value"])
    values = [float(value) for value in held]
    if kind.startswith("greater"):
        return any(value > bound or (kind.endswith("OrEquals") and value == bound) for value in values)
    return any(value < bound or (kind.endswith("OrEquals") and value == bound) for value in values)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
