"""Answers as a Camera Trap Data Package, Camtrap DP 1.0.2: https://camtrap-dp.tdwg.org.

One observation of level `media` per photograph, classified by a machine, with the calibrated probability of the answer
as `classificationProbability`. The standard is made for animals: `observationType` is `animal` for Animalia, `human`
for Homo sapiens, and `unknown` for all else, since no other value is true of a plant; its name and its kingdom are
written all the same. Where the model is not sure of any kingdom it is `unknown` without a name, where a photograph
could not be read `unclassified`. What the standard demands and nobody said is asked for, never made up.
"""

import json
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from ml.exports import camtrap_tables as tables
from ml.exports.answer_facts import RANKS, Answer, Distinct, Facts, captured, is_address, relative
from ml.exports.camtrap_tables import Deployment
from ml.exports.export_files import Table, Written, package, plain, writing
from ml.exports.export_options import ExportError, ExportOptions, Row

VERSION: Final = "1.0.2"
_HOME: Final = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}/"
_PACKAGE: Final = "datapackage.json"
_REST: Final = ("filePath", "reason")
_MEDIA_TYPES: Final = {
    **dict.fromkeys(("jpg", "jpeg", "mpo"), "image/jpeg"), "png": "image/png", "webp": "image/webp",
    "avif": "image/avif", **dict.fromkeys(("heic", "hif"), "image/heic"), "heif": "image/heif",
}  # fmt: skip
SAMPLING_DESIGNS: Final = (
    "simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted", "opportunistic",
)  # fmt: skip
ROLES: Final = ("contact", "principalInvestigator", "rightsHolder", "publisher", "contributor")
CAPTURE_METHODS: Final = ("activityDetection", "timeLapse")
_ASKED: Final = (
    "Camtrap DP needs metadata that only you know: {missing}. Give an object such as "
    '{{"contributors": [{{"title": "Your name", "role": "contact"}}], "project": {{"title": "Ferns of the valley", '
    '"samplingDesign": "opportunistic", "captureMethod": ["activityDetection"]}}}}'
)


class _Counted(NamedTuple):
    answered: int
    unanswered: int
    taxa: dict[str, dict[str, str]]


def write(answers: Iterable[Answer], path: Path, options: ExportOptions) -> Written:
    """Write the package.

    Args:
        answers: Answers and errors; they are read once, one by one.
        path: A folder that is new, empty or an earlier package; or `NAME.zip`.
        options: Needed are `deployments`, `metadata` (contributors and project) and when each photograph was taken.

    Raises:
        ExportError: an answer is none, or something is missing that the standard demands; says what to give.
    """
    metadata, deployments = check(options)
    with package(path, marker=_PACKAGE) as folder:
        counted = _fill(answers, folder, deployments, options)
        with writing(folder / "deployments.csv") as stream:
            table = Table(stream, tables.DEPLOYMENTS)
            for deployment in deployments.values():
                table.add(deployment.row)
        descriptor = _descriptor(metadata, list(deployments.values()), counted, options)
        try:
            text = json.dumps(descriptor, ensure_ascii=False, indent=2, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ExportError(f"the metadata cannot be written as JSON: {error}") from error
        with writing(folder / _PACKAGE) as stream:
            stream.write(text + "\n")
    return Written((path,), counted.answered, counted.unanswered)


def check(options: ExportOptions) -> tuple[Row, dict[str, Deployment]]:
    """The metadata and the deployments, as far as they can be checked without answers.

    Raises:
        ExportError: something is missing that the standard demands; says what to give.
    """
    return _checked(options.metadata), tables.deployments_of(options.deployments)


def _fill(
    answers: Iterable[Answer], folder: Path, deployments: dict[str, Deployment], options: ExportOptions
) -> _Counted:
    answered = unanswered = 0
    taxa: dict[str, dict[str, str]] = {}
    known, distinct = set[str](), Distinct()
    with (
        writing(folder / "media.csv") as media_file,
        writing(folder / "observations.csv") as observations_file,
        writing(folder / "unanswered.csv") as rest_file,
    ):
        media, observations = Table(media_file, tables.MEDIA), Table(observations_file, tables.OBSERVATIONS)
        rest = Table(rest_file, _REST)
        for answer in answers:
            facts = Facts.of(answer, options)
            answered, unanswered = answered + facts.answered, unanswered + (not facts.answered)
            if facts.taxon is not None:
                taxa.setdefault(facts.taxon, _taxon(facts))
            for photo in facts.photos:
                path = relative(photo, options)
                if not facts.answered:
                    rest.add({"filePath": path, "reason": facts.why_unanswered})
                time = captured(photo, options)
                if time is None and facts.error is not None:
                    # What cannot be read has no date either: it stands among the unanswered alone.
                    continue
                row = _medium(facts, path, time, deployments)
                if row["mediaID"] not in known:
                    known.add(row["mediaID"])
                    media.add(row)
                observation = _observation(facts, row, options)
                observations.add(observation | {"observationID": distinct(observation["observationID"])})
    return _Counted(answered, unanswered, taxa)


def _medium(facts: Facts, path: str, time: datetime | None, deployments: dict[str, Deployment]) -> dict[str, Any]:
    if time is None:
        raise ExportError(
            f"when was {path} taken? Camtrap DP demands the time of every photograph, and this one does not say: give "
            "it as ISO 8601 in the option captured"
        )
    if path.startswith((".", "/", "~")) or ".." in path:
        raise ExportError(f"Camtrap DP takes no path that begins with a dot or holds two in a row: {path}")
    deployment = tables.deployment_of(path, deployments)
    return {
        "mediaID": str(uuid.uuid5(uuid.NAMESPACE_URL, path)),
        "deploymentID": deployment.name,
        "timestamp": tables.written(time),
        "filePath": path,
        "filePublic": "true" if is_address(path) else "false",
        "fileName": path.rpartition("/")[2],
        "fileMediatype": _MEDIA_TYPES.get(path.rpartition(".")[2].lower(), "image/*"),
        "mediaComments": facts.error,
    }


def _observation(facts: Facts, medium: Row, options: ExportOptions) -> dict[str, Any]:
    row: dict[str, Any] = {
        "observationID": f"{facts.identity}/{medium['mediaID']}",
        "deploymentID": medium["deploymentID"],
        "mediaID": medium["mediaID"],
        # Photographs of one organism that were answered together belong together.
        "eventID": facts.name if len(facts.photos) > 1 else None,
        "eventStart": medium["timestamp"],
        "eventEnd": medium["timestamp"],
        "observationLevel": "media",
        "observationType": _type(facts),
        "observationComments": facts.error or facts.remarks,
    }
    if facts.error is not None:
        return row
    if facts.answered:
        row["scientificName"] = facts.taxon
        row["classificationProbability"] = facts.probability
        row["observationTags"] = f"taxonRank:{facts.rank} | kingdom:{facts.ranks.get('kingdom', '')}"
    if facts.region is not None:
        left, upper, right, lower = facts.region
        row |= {"bboxX": left, "bboxY": upper, "bboxWidth": right - left, "bboxHeight": lower - upper}
    return row | {
        "classificationMethod": "machine",
        "classifiedBy": f"{facts.model} ({facts.model_uri})",
        "classificationTimestamp": tables.written(options.identified),
    }


def _type(facts: Facts) -> str:
    if facts.error is not None:
        return "unclassified"
    if facts.taxon == "Homo sapiens":
        return "human"
    return "animal" if facts.ranks.get("kingdom") in {"Animalia", "Metazoa"} else "unknown"


def _taxon(facts: Facts) -> dict[str, str]:
    named = {"scientificName": facts.taxon, "taxonID": facts.taxon_id, "taxonRank": facts.rank}
    ranks = {rank: facts.ranks.get(rank) for rank in RANKS[:-1]}
    return {name: plain(value) for name, value in (named | ranks).items() if value is not None}


def _checked(metadata: Row) -> Row:
    """What only a person knows of the package.

    Raises:
        ExportError: something is missing, or a value is not among the standard's.
    """
    project = metadata.get("project")
    project = project if isinstance(project, dict) else {}
    contributors = metadata.get("contributors")
    missing = [f"project.{name}" for name in ("title", "samplingDesign", "captureMethod") if not project.get(name)]
    if not (
        isinstance(contributors, list)
        and contributors
        and all(isinstance(each, dict) and each.get("title") for each in contributors)
    ):
        missing.insert(0, "contributors")
    if missing:
        raise ExportError(_ASKED.format(missing=", ".join(missing)))
    if project["samplingDesign"] not in SAMPLING_DESIGNS:
        raise ExportError(f"project.samplingDesign must be one of {', '.join(SAMPLING_DESIGNS)}")
    methods = project["captureMethod"]
    if not isinstance(methods, list) or not all(method in CAPTURE_METHODS for method in methods):
        raise ExportError(f"project.captureMethod must be a list of {' or '.join(CAPTURE_METHODS)}")
    if any(each.get("role", ROLES[0]) not in ROLES for each in contributors or ()):
        raise ExportError(f"the role of a contributor must be one of {', '.join(ROLES)}")
    licences = metadata.get("licenses")
    if licences is not None and _scopes(licences) != {"data", "media"}:
        raise ExportError("licenses must name one with the scope data and one with the scope media, or be left out")
    return metadata


def _scopes(licences: object) -> set[str]:
    """What licences are for."""
    listed = licences if isinstance(licences, list) else []
    return {str(each.get("scope")) if isinstance(each, dict) else "" for each in listed}


def _descriptor(
    metadata: Row, deployments: list[Deployment], counted: _Counted, options: ExportOptions
) -> dict[str, Any]:
    """What `datapackage.json` says: what is known here, and above it what the person says."""
    resources = [
        {
            "name": name, "path": f"{name}.csv", "profile": "tabular-data-resource", "format": "csv",
            "mediatype": "text/csv", "encoding": "utf-8", "schema": f"{_HOME}{name}-table-schema.json",
        }
        for name in ("deployments", "media", "observations")
    ]  # fmt: skip
    unanswered = {"name": "unanswered", "path": "unanswered.csv", "format": "csv", "mediatype": "text/csv"}
    known = {
        "name": "naturewatch-identifications",
        "created": tables.written(options.identified),
        "version": "1.0",
        "sources": [{"title": f"NatureWatch: {options.references}" if options.references else "NatureWatch"}],
        "spatial": _spatial(deployments),
        "temporal": {
            "start": min(each.start for each in deployments).date().isoformat(),
            "end": max(each.end for each in deployments).date().isoformat(),
        },
        "taxonomic": list(counted.taxa.values()),
    }
    fixed = {
        "profile": f"{_HOME}camtrap-dp-profile.json",
        "resources": [*resources, unanswered],
        # No individual is told from another here, and each photograph is observed for itself.
        "project": {**metadata["project"], "individualAnimals": False, "observationLevel": ["media"]},
    }
    return known | dict(metadata) | fixed


def _spatial(deployments: list[Deployment]) -> dict[str, Any]:
    """The places as GeoJSON."""
    return {"type": "MultiPoint", "coordinates": sorted({(each.longitude, each.latitude) for each in deployments})}
