"""What an answer's dictionary says, in the terms that the exports share. Fields that older versions lack may miss."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self
from urllib.parse import urlsplit

from ml.errors import PhotoError
from ml.exports.export_files import plain
from ml.exports.export_options import ExportError, ExportOptions, Region, region_of
from ml.images.capture_time import captured_at
from ml.serving.inputs import read_photograph

Answer = Mapping[str, Any]
"""One answer of `ml.serving.answering.Answering.answers` with `photo` and `model`, or `{"photo", "error"}`."""

RANKS: Final = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
_PLACEHOLDER: Final = re.compile(r".+ \(no (?:" + "|".join(RANKS) + r")\)")
"""The name of a taxon that stands for a rank which the taxonomy leaves out."""
_ROUNDING: Final = 1e-6
"""By how much a sum of probabilities may leave [0, 1]."""
_DATE_LETTERS: Final = len("2026-11-26")
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One photograph, or several of one organism, and what was answered."""

    name: str
    """The photograph's name, or the organism's."""
    photos: tuple[str, ...]
    error: str | None
    """Why there is no answer."""
    rank: str | None
    """The rank of the taxon; None where the model is not sure of any kingdom, or failed."""
    taxon: str | None
    taxon_id: str | None
    """The taxon's address at GBIF, else its key in the taxonomy of the model."""
    probability: float | None
    """The calibrated probability of the taxon."""
    ranks: Mapping[str, str]
    """Rank to name, from kingdom to the taxon; ranks that the taxonomy leaves out are absent."""
    kingdom_probability: float | None
    """The calibrated probability of the kingdom, or of the likeliest kingdom where none was answered."""
    common_name: str | None
    model: str
    """The version in words: `NatureWatch naturewatch version 12`."""
    model_uri: str
    region: Region | None
    place: tuple[float, float] | None
    """Latitude and longitude that were said of it, in degrees."""
    stopped: str | None
    """Where the answer stops and why, in the model's words."""
    remarks: str
    """The probability and what is promised about it, in words."""
    identity: str
    """A deterministic URN: the same question to the same version about the same photographs."""

    @classmethod
    def of(cls, answer: object, options: ExportOptions) -> Self:
        """Read an answer or an error.

        Raises:
            ExportError: it is neither.
        """
        if not isinstance(answer, Mapping) or not isinstance(answer.get("photo"), str):
            raise ExportError("each answer must be an object with the name of its photograph in `photo`")
        try:
            return cls._of(answer, options)
        except ExportError:
            raise
        except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise ExportError(f"the answer about {answer['photo'][:80]} is not as `identify` writes it") from error

    @classmethod
    def _of(cls, answer: Answer, options: ExportOptions) -> Self:
        name = answer["photo"]
        photos = tuple(str(photo) for photo in answer.get("photos") or ()) or (name,)
        error = answer.get("error")
        if error is None and not isinstance(answer.get("rank"), str):
            raise ExportError(f"the answer about {name[:80]} has neither a rank nor an error")
        model, uri = _model(answer, options)
        lineage = [] if error is not None else [step for step in answer.get("lineage") or () if not _absent(step)]
        taxon = lineage[-1] if lineage else None
        region = answer.get("region") or options.region
        return cls(
            name=name, photos=photos, error=None if error is None else str(error),
            rank=None if taxon is None else str(taxon["rank"]), taxon=None if taxon is None else str(taxon["name"]),
            taxon_id=None if taxon is None else _taxon_id(taxon, answer),
            probability=_probability(taxon), ranks={str(step["rank"]): str(step["name"]) for step in lineage},
            kingdom_probability=_probability(lineage[0] if lineage else _first(answer)),
            common_name=answer.get("common_name") if taxon is not None and taxon["name"] == answer["taxon"] else None,
            model=model, model_uri=uri, region=None if region is None else region_of(region),
            place=_place(answer), stopped=_stopped(answer),
            remarks="" if error is not None else _remarks(answer, taxon),
            identity=_identity(answer, photos, uri, options),
        )  # fmt: skip

    @property
    def answered(self) -> bool:
        """Whether there is an answer above the root."""
        return self.taxon is not None

    @property
    def why_unanswered(self) -> str:
        """Why there is none, in words."""
        return self.error or self.stopped or f"not sure of any kingdom; {self.remarks}"


def relative(photo: str, options: ExportOptions) -> str:
    """The path of a photograph below the base, with forward slashes; addresses stay as they are.

    Raises:
        ExportError: the photograph lies elsewhere.
    """
    if _ADDRESS.match(photo):
        return plain(photo)
    if options.base is None:
        pure = PurePosixPath(photo)
        if pure.is_absolute() or ".." in pure.parts:
            raise ExportError(f"{photo} is no path below one folder: name that folder as the base")
        return plain(pure.as_posix())
    try:
        return plain(Path(photo).resolve().relative_to(options.base.resolve()).as_posix())
    except ValueError as error:
        raise ExportError(
            f"{photo} is not below {options.base}: programs find photographs by their path below one folder; write the "
            "export into a folder that holds them all, or name that folder as the base"
        ) from error


def captured(photo: str, options: ExportOptions) -> datetime | None:
    """When a photograph was taken, with its offset from UTC; None where nobody knows.

    Photographs that are files of this machine, since a base is given, are asked for their EXIF.

    Raises:
        ExportError: what was said is no date and time, or the offset is unknown.
    """
    text = options.captured.get(photo) or _by_exif(photo, options)
    if text is None:
        return None
    try:
        # A date alone would be read as midnight.
        taken = datetime.fromisoformat(text if len(text) > _DATE_LETTERS else "")
    except ValueError as error:
        raise ExportError(f"{photo} was taken at {text[:40]!r}, which is no date and time in ISO 8601") from error
    if taken.tzinfo is not None:
        return taken
    if options.timezone is None:
        raise ExportError(
            f"{photo} was taken at {text} by a clock whose timezone is unknown: give the offset, as in +12:00"
        )
    return datetime.fromisoformat(taken.isoformat() + options.timezone)


def _by_exif(photo: str, options: ExportOptions) -> str | None:
    if options.base is None or _ADDRESS.match(photo):
        return None
    try:
        return captured_at(read_photograph(Path(photo)))
    except PhotoError:
        return None


class Distinct:
    """Identifiers that stay distinct where two photographs of one name got the same answer."""

    def __init__(self) -> None:
        """Nothing has been named yet."""
        self._times: dict[str, int] = {}

    def __call__(self, identity: str) -> str:
        """The identifier itself where it is the first, else one made from it and its number."""
        times = self._times[identity] = self._times.get(identity, 0) + 1
        return identity if times == 1 else _urn(f"{identity} {times}")


def _model(answer: Answer, options: ExportOptions) -> tuple[str, str]:
    model = answer.get("model") or {}
    name, version = model.get("name", "naturewatch"), model.get("version")
    if version is None:
        return f"NatureWatch {name}", options.model_uri or f"models:/{name}"
    return f"NatureWatch {name} version {version}", options.model_uri or f"models:/{name}/{version}"


def _absent(step: Mapping[str, Any]) -> bool:
    """Whether a step of the lineage stands for a rank that the taxonomy leaves out."""
    return step.get("taxon_key") is None and _PLACEHOLDER.fullmatch(str(step["name"])) is not None


def _taxon_id(taxon: Mapping[str, Any], answer: Answer) -> str | None:
    if taxon.get("gbif"):
        return str(taxon["gbif"])
    if answer.get("gbif") and taxon["name"] == answer["taxon"]:
        return str(answer["gbif"])
    key = taxon.get("taxon_key")
    return None if key is None else str(key)


def _probability(taxon: Mapping[str, Any] | None) -> float | None:
    if taxon is None or taxon.get("probability") is None:
        return None
    probability = float(taxon["probability"])
    if not -_ROUNDING <= probability <= 1 + _ROUNDING:
        raise ValueError(f"{probability} is no probability")
    return min(max(probability, 0.0), 1.0)


def _first(answer: Answer) -> Mapping[str, Any] | None:
    path = answer.get("path") or ()
    return path[0] if path else None


def _stopped(answer: Answer) -> str | None:
    text = (answer.get("stop") or {}).get("text")
    return None if text is None else str(text)


def _remarks(answer: Answer, taxon: Mapping[str, Any] | None) -> str:
    parts = ["machine identification, not checked by a person"]
    if (probability := _probability(taxon)) is not None:
        parts.append(f"probability {probability:.4f}")
    if answer.get("target") is not None:
        parts.append(f"target accuracy {answer['target']:g}")
    elif answer.get("threshold") is not None:
        parts.append(f"threshold {answer['threshold']:g}")
    if (promise := answer.get("promise")) and promise.get("text"):
        parts.append(str(promise["text"]))
    if (prior := answer.get("prior")) and prior.get("used"):
        parts.append(str(prior["text"]))
    if within := answer.get("within"):
        parts.append("known to be within " + " or ".join(str(each) for each in within))
    parts += [str(warning["text"]) for warning in answer.get("warnings") or () if warning.get("text")]
    return "; ".join(parts)


def _place(answer: Answer) -> tuple[float, float] | None:
    place = (answer.get("prior") or {}).get("place")
    if place is None:
        return None
    latitude, longitude = (float(degrees) for degrees in place)
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"{place} is no place")
    return latitude, longitude


def _identity(answer: Answer, photos: tuple[str, ...], uri: str, options: ExportOptions) -> str:
    occurrences = [options.occurrences.get(photo, photo) for photo in photos]
    asked = [answer.get(name) for name in ("target", "threshold", "within", "renormalise", "region", "taxon_key")]
    prior = answer.get("prior") or {}
    if prior.get("used"):
        asked += [prior["place"], prior["day"]]
    return _urn(repr([uri, occurrences, *asked]))


def _urn(text: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, plain(text))}"


def is_address(text: str) -> bool:
    """Whether a photograph is named by an address of the web."""
    return urlsplit(text).scheme in {"http", "https"}
