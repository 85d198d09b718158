"""What is asked of a model about photographs: the parameters of `predict`, the options of `naturewatch identify`.

Here a question is checked without a model; what only a model knows (its taxa, the targets that it reaches) is checked
in `ml.serving.answering`.
"""

import difflib
import math
import numbers
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml.errors import MlError
from ml.places.reading import PlaceError, day_of, place_of
from ml.serving.sighting import Sighting

Region = tuple[float, float, float, float]
"""Left, upper, right and lower edge of a part of a photograph, as fractions of its width and height."""

_LONGEST_TAXON: Final = 500
"""Characters of a lineage from kingdom to species, with some to spare."""
HALF_WAY_ROUND_M: Final = 20_037_508.0
"""No place is farther from another, in metres."""


class QuestionError(MlError, ValueError):
    """A parameter is unknown, or its value makes no sense."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about every photograph of a request."""

    target: float | None = None
    """Accuracy wanted, between 0 and 1; with neither target nor threshold: what the model was calibrated for."""
    threshold: float | None = None
    """Probability, in [0, 1], that an answer must have."""
    within: tuple[str, ...] = ()
    """Names, keys or lineages of taxa, one of which is known to contain the photographs; empty: any."""
    renormalise: bool = True
    """Whether `within` conditions the probabilities, or only rules out the others (the paper's literal reading)."""
    top: int = 5
    """How many species to list."""
    region: Region | None = None
    """Where the organism is."""
    embedding: bool = False
    """Whether to answer with the photograph's embedding, too."""
    place: tuple[float, float] | None = None
    """Latitude and longitude, in degrees, where the photographs were taken."""
    uncertainty_m: float | None = None
    """Radius around the place, in metres, that holds the true one; None: not known."""
    date: str | None = None
    """When they were taken: a day, `2024-05-17`. Without a place it changes nothing."""
    exif: bool = False
    """Whether place and date of each photograph's own EXIF count, where nothing else is said."""
    watch: tuple[str, ...] = ()
    """Names, keys or lineages of taxa to keep an eye on beside the version's own, each with `=PROBABILITY` or without:
    the alarm is raised from there on."""

    def __post_init__(self) -> None:
        """Refuse values out of range (QuestionError)."""
        if self.target is not None and self.threshold is not None:
            raise QuestionError("give a target accuracy or a threshold, not both")
        if self.target is not None and not 0 < self.target < 1:
            hint = f"; {self.target:g} % is {self.target / 100:g}" if 1 < self.target < 100 else ""
            raise QuestionError(f"the target accuracy must lie between 0 and 1, not {self.target:g}{hint}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise QuestionError(f"the threshold must lie in [0, 1], not {self.threshold:g}")
        if self.top < 0:
            raise QuestionError(f"top is how many species to list: 0 or more, not {self.top}")
        if self.region is not None:
            left, upper, right, lower = self.region
            if not (0 <= left < right <= 1 and 0 <= upper < lower <= 1):
                raise QuestionError(
                    "a region of interest is left, upper, right, lower as fractions of the photograph, not "
                    + ", ".join(f"{edge:g}" for edge in self.region)
                )
        for text in self.watch:
            watched_name(text)
        self._check_place()

    def _check_place(self) -> None:
        if self.uncertainty_m is not None and not 0 < self.uncertainty_m <= HALF_WAY_ROUND_M:
            raise QuestionError(
                f"the uncertainty of a place is a number of metres up to {HALF_WAY_ROUND_M:,.0f}, not "
                f"{self.uncertainty_m:g}"
            )
        if self.uncertainty_m is not None and self.place is None:
            raise QuestionError("an uncertainty is that of a place: give the place, too")
        try:
            if self.place is not None:
                # As the prior counts them: each place has one longitude.
                object.__setattr__(self, "place", place_of(self.place))
            _ = self.sighting
        except PlaceError as error:
            raise QuestionError(str(error)) from error

    @property
    def sighting(self) -> Sighting:
        """What is said of where and when all the photographs were taken."""
        return Sighting(self.place, self.uncertainty_m, None if self.date is None else day_of(self.date))

    @classmethod
    def of(cls, params: object) -> "Question":
        """The question that parameters of a request ask; a parameter that is null is as good as absent.

        Args:
            params: A mapping from the fields' names to values of whatever types a request brought, or None.

        Raises:
            QuestionError: a parameter is unknown, or has a value that makes no sense.
        """
        if params is None:
            return cls()
        if not isinstance(params, Mapping):
            raise QuestionError(f"params must be an object of names and values, not {_kind(params)}")
        for name in params:
            if name not in _READERS:
                near = difflib.get_close_matches(str(name), _READERS, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise QuestionError(f"no parameter is called {_short(name)}{hint}; known are {', '.join(_READERS)}")
        values = {name: _READERS[name](name, value) for name, value in params.items() if value is not None}
        return cls(**values)


def watched_name(text: str) -> tuple[str, float | None]:
    """The taxon of an entry of `Question.watch`, and the probability that follows it after `=`, if one does.

    Raises:
        QuestionError: there is no taxon, or what follows is no probability.
    """
    name, equals, number = text.rpartition("=")
    if not equals:
        return text, None
    try:
        threshold = float(number)
    except ValueError:
        threshold = math.nan
    if not name.strip() or not 0 < threshold <= 1:
        raise QuestionError(f"watch takes a taxon, or TAXON=PROBABILITY as in Aves=0.2, not {_short(text)}")
    return name.strip(), threshold


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise QuestionError(f"{name} must be a number, not {_kind(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise QuestionError(f"{name} must be a finite number")
    return number


def _whole_number(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise QuestionError(f"{name} must be a whole number, not {_kind(value)}")
    return int(value)


def _truth(name: str, value: object) -> bool:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool):
        return plain
    raise QuestionError(f"{name} must be true or false, not {_kind(value)}")


def _taxa(name: str, value: object) -> tuple[str, ...]:
    taxa = [value] if isinstance(value, str) else _listed(name, value, of="names or keys of taxa")
    for taxon in taxa:
        if isinstance(taxon, bool) or not isinstance(taxon, str | numbers.Integral):
            raise QuestionError(f"{name} must be a list of names or keys of taxa, and holds {_kind(taxon)}")
        if len(str(taxon)) > _LONGEST_TAXON:
            raise QuestionError(f"{name} holds a text of {len(str(taxon))} characters, which no taxon has")
    return tuple(str(taxon) for taxon in taxa)


def _region(name: str, value: object) -> Region | None:
    edges = [_number(name, edge) for edge in _listed(name, value, of="numbers")]
    if not edges:
        return None
    if len(edges) != 4:
        raise QuestionError(f"{name} takes left, upper, right and lower edge, not {len(edges)} numbers")
    return edges[0], edges[1], edges[2], edges[3]


def _place(name: str, value: object) -> tuple[float, float] | None:
    if isinstance(value, str):
        pair: Any = value
    else:
        pair = _listed(name, value, of="latitude and longitude")
        if not pair:
            return None
    try:
        return place_of(pair)
    except PlaceError as error:
        raise QuestionError(f"{name}: {error}") from error


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise QuestionError(f"{name} must be text, not {_kind(value)}")


def _listed(name: str, value: object, *, of: str) -> Sequence[object]:
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, list | tuple):
        return plain
    raise QuestionError(f"{name} must be a list of {of}, not {_kind(value)}")


def _kind(value: object) -> str:
    """What a value is, in JSON's words."""
    kinds: dict[type, str] = {
        str: "text", bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list",
        type(None): "null",
    }  # fmt: skip
    return kinds.get(type(value), f"a value of type {type(value).__name__}")


def _short(name: object) -> str:
    return reprlib.repr(str(name))


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "target": _number, "threshold": _number, "within": _taxa, "renormalise": _truth, "top": _whole_number,
    "region": _region, "embedding": _truth, "watch": _taxa, "place": _place, "uncertainty_m": _number, "date": _text,
    "exif": _truth,
}  # fmt: skip
