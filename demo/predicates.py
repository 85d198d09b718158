"""Which records a search or a download asks for: GBIF's parameters and predicates over the replica's records."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from demo.records import INATURALIST, Occurrence
from demo.taxa import COL_XR, RANKS

Test = Callable[[Occurrence], bool]


class PredicateError(ValueError):
    """GBIF would answer 400; the message is what it would say."""


def _rank_key(rank: str) -> Callable[[Occurrence], frozenset[str]]:
    return lambda item: frozenset(key for key in (item.identification.keys.get(rank),) if key)


def _always(value: str) -> Callable[[Occurrence], frozenset[str]]:
    return lambda _: frozenset({value})


FIELDS: Final[Mapping[str, Callable[[Occurrence], frozenset[str]]]] = {
    "TAXON_KEY": lambda item: item.identification.all_keys,
    "DATASET_KEY": _always(INATURALIST),
    "COUNTRY": _always("NZ"),
    "YEAR": lambda item: frozenset({str(item.date.year)}),
    "MONTH": lambda item: frozenset({str(item.date.month)}),
    "MEDIA_TYPE": lambda item: frozenset(one.type.upper() for one in item.media),
    "LICENSE": lambda item: frozenset({item.licence}),
    "OCCURRENCE_STATUS": _always("PRESENT"),
    "BASIS_OF_RECORD": _always("HUMAN_OBSERVATION"),
    "HAS_COORDINATE": _always("TRUE"),
    "HAS_GEOSPATIAL_ISSUE": _always("FALSE"),
    "TAXONOMIC_STATUS": lambda item: frozenset({item.identification.status}),
    "ISSUE": lambda item: frozenset(item.identification.issues),
    "OCCURRENCE_ID": lambda item: frozenset({f"https://www.inaturalist.org/observations/{item.observation}".upper()}),
    "CATALOG_NUMBER": lambda item: frozenset({str(item.observation)}),
    "GBIF_ID": lambda item: frozenset({str(item.key)}),
    **{f"{rank.upper()}_KEY": _rank_key(rank) for rank in RANKS},
}
"""The values that a record has under each search key that the replica knows; texts are upper case."""
NUMBERS: Final = frozenset({"YEAR", "MONTH", "GBIF_ID"})
COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "greaterThan": lambda value, bound: value > bound,
    "greaterThanOrEquals": lambda value, bound: value >= bound,
    "lessThan": lambda value, bound: value < bound,
    "lessThanOrEquals": lambda value, bound: value <= bound,
}


def from_parameters(parameters: Mapping[str, Sequence[str]]) -> Test:
    """The test that `/occurrence/search` parameters ask for; like GBIF, names that it does not know are ignored.

    Raises:
        PredicateError: a value cannot be understood.
    """
    tests: list[Test] = []
    for name, values in parameters.items():
        key = _constant_case(name)
        if key == "CHECKLIST_KEY":
            for value in values:
                _check_checklist(value)
        elif key in FIELDS:
            tests.append(_any([_value_or_range(key, value) for value in values]))
    return _all(tests)


def from_predicate(body: object, *, depth: int = 0) -> Test:
    """The test of a download's predicate.

    Raises:
        PredicateError: it is malformed, or asks for something that the replica does not know.
    """
    if not isinstance(body, dict) or "type" not in body or depth > 20:
        raise PredicateError("Could not read the predicate: an object with a type is expected")
    kind = body["type"]
    if kind in {"and", "or"}:
        parts = body.get("predicates")
        if not isinstance(parts, list) or not parts:
            raise PredicateError(f"Could not read the predicate: {kind} needs predicates")
        tests = [from_predicate(part, depth=depth + 1) for part in parts]
        return _all(tests) if kind == "and" else _any(tests)
    if kind == "not":
        inner = from_predicate(body.get("predicate"), depth=depth + 1)
        return lambda item: not inner(item)
    return _simple(str(kind), body)


def _simple(kind: str, body: Mapping[str, Any]) -> Test:
    key = str(body.get("key", body.get("parameter", "")))
    if key not in FIELDS:
        raise PredicateError(f"Could not read the predicate: {key or 'nothing'} is not a known search parameter")
    if "checklistKey" in body:
        _check_checklist(str(body["checklistKey"]))
    if kind in {"isNull", "isNotNull"}:
        wanted = kind == "isNotNull"
        return lambda item: bool(FIELDS[key](item)) == wanted
    if kind == "in":
        values = body.get("values")
        if not isinstance(values, list) or not values:
            raise PredicateError("Could not read the predicate: in needs values")
        return _any([_equals(key, str(value)) for value in values])
    if "value" not in body:
        raise PredicateError(f"Could not read the predicate: {kind} needs a value")
    if kind == "equals":
        return _equals(key, str(body["value"]))
    if kind in COMPARISONS and key in NUMBERS:
        compare, bound = COMPARISONS[kind], _integer(str(body["value"]))
        return lambda item: any(compare(int(value), bound) for value in FIELDS[key](item))
    raise PredicateError(f"Could not read the predicate: {kind} {key} is not supported")


def _equals(key: str, value: str) -> Test:
    if key in NUMBERS:
        value = str(_integer(value))
    # Keys are written as they are; UUIDs in lower case; vocabularies in any case.
    wanted = value.lower() if key == "DATASET_KEY" else value if key.endswith("_KEY") else value.upper()
    field = FIELDS[key]
    return lambda item: wanted in field(item)


def _value_or_range(key: str, value: str) -> Test:
    if key not in NUMBERS or "," not in value:
        return _equals(key, value)
    first, _, last = value.partition(",")
    low = -(10**9) if first in {"", "*"} else _integer(first)
    high = 10**12 if last in {"", "*"} else _integer(last)
    field = FIELDS[key]
    return lambda item: any(low <= int(number) <= high for number in field(item))


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PredicateError(f"Invalid integer range: {text}") from None


def _check_checklist(key: str) -> None:
    if key != COL_XR:
        raise PredicateError(f"Checklist key {key} is not supported")


def _all(tests: Sequence[Test]) -> Test:
    return lambda item: all(test(item) for test in tests)


def _any(tests: Sequence[Test]) -> Test:
    return lambda item: any(test(item) for test in tests)


def _constant_case(name: str) -> str:
    """`taxonKey` and `taxon_key` as GBIF's constant TAXON_KEY."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).upper()
