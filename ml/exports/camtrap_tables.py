"""The tables of Camtrap DP 1.0.2: their columns, and what a person has to say about each deployment of a camera.

Source: https://camtrap-dp.tdwg.org/data/. The standard has no default for where a camera stood and from when to when.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ml.exports.export_options import ExportError, Row

DEPLOYMENTS: Final = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty", "deploymentStart",
    "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt",
    "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat", "deploymentGroups",
    "deploymentTags", "deploymentComments",
)  # fmt: skip
MEDIA: Final = (
    "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName", "fileMediatype",
    "exifData", "favorite", "mediaComments",
)  # fmt: skip
OBSERVATIONS: Final = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel",
    "observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID",
    "individualPositionRadius", "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth",
    "bboxHeight", "classificationMethod", "classifiedBy", "classificationTimestamp", "classificationProbability",
    "observationTags", "observationComments",
)  # fmt: skip
FEATURES: Final = (
    "roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge", "culvert",
    "burrow", "nestSite", "carcass", "waterSource", "fruitingTree",
)  # fmt: skip
_NUMBERS: Final = {
    "coordinateUncertainty": (1, 1e9), "cameraDelay": (0, 1e9), "cameraHeight": (0, 1e9), "cameraDepth": (0, 1e9),
    "cameraTilt": (-90, 90), "cameraHeading": (0, 360), "detectionDistance": (0, 1e9),
}  # fmt: skip
_WHOLE: Final = frozenset({"coordinateUncertainty", "cameraDelay", "cameraTilt", "cameraHeading"})
_TRUTHS: Final = frozenset({"timestampIssues", "baitUse"})
REQUIRED: Final = ("deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd")
"""Of a deployment."""


class Deployment(NamedTuple):
    """Where a camera stood, and from when to when."""

    name: str
    latitude: float
    longitude: float
    start: datetime
    end: datetime
    row: Row


def deployments_of(rows: Sequence[Row]) -> dict[str, Deployment]:
    """Check the deployments.

    Raises:
        ExportError: there is none, or one lacks what the standard demands; says what to give.
    """
    if not rows:
        raise ExportError(
            "Camtrap DP needs to know where the cameras stood, and from when to when: give deployments, a CSV file "
            f"with the columns {', '.join(REQUIRED)} and one row per camera and period"
        )
    found: dict[str, Deployment] = {}
    for number, row in enumerate(rows, start=1):
        deployment = _deployment(row, f"row {number} of the deployments")
        if deployment.name in found:
            raise ExportError(f"two deployments are called {deployment.name}")
        found[deployment.name] = deployment
    return found


def deployment_of(path: str, deployments: Mapping[str, Deployment]) -> Deployment:
    """The deployment of a photograph: the only one, else the one that a folder of its path is called after.

    Raises:
        ExportError: none is.
    """
    if len(deployments) == 1:
        return next(iter(deployments.values()))
    for folder in path.split("/")[-2::-1]:
        if folder in deployments:
            return deployments[folder]
    raise ExportError(
        f"to which deployment belongs {path}? Of several deployments, each needs its photographs in a folder that is "
        "called as its deploymentID"
    )


def written(time: datetime) -> str:
    """A time in the standard's form, to the second."""
    return time.replace(microsecond=0).isoformat()


def _deployment(row: Row, where: str) -> Deployment:
    if unknown := [name for name in row if name not in DEPLOYMENTS]:
        raise ExportError(f"{where} has a column that Camtrap DP does not know: {str(unknown[0])[:40]!r}")
    if missing := [name for name in REQUIRED if row.get(name) is None or row[name] == ""]:
        raise ExportError(f"{where} lacks {', '.join(missing)}, which Camtrap DP demands")
    start, end = _time(row, "deploymentStart", where), _time(row, "deploymentEnd", where)
    if end < start:
        raise ExportError(f"{where} ends before it starts")
    for name, value in row.items():
        if value is not None and value != "":
            _check(name, str(value), where)
    return Deployment(
        name=str(row["deploymentID"]), latitude=_degrees(row, "latitude", 90, where),
        longitude=_degrees(row, "longitude", 180, where), start=start, end=end,
        row={**row, "deploymentStart": written(start), "deploymentEnd": written(end)},
    )  # fmt: skip


def _check(name: str, text: str, where: str) -> None:
    """Refuse an optional value that the standard's schema would refuse."""
    if name in _NUMBERS:
        least, most = _NUMBERS[name]
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most or (name in _WHOLE and number != int(number)):
            raise ExportError(f"{where}: {name} must be a number from {least:g} to {most:g}, not {text[:40]!r}")
    elif name in _TRUTHS and text not in {"true", "false"}:
        raise ExportError(f"{where}: {name} must be true or false, not {text[:40]!r}")
    elif name == "featureType" and text not in FEATURES:
        raise ExportError(f"{where}: featureType must be one of {', '.join(FEATURES)}")


def _degrees(row: Row, name: str, most: float, where: str) -> float:
    try:
        degrees = float(row[name])
    except (TypeError, ValueError):
        degrees = math.nan
    if not abs(degrees) <= most:
        raise ExportError(f"{where}: the {name} must be decimal degrees from -{most} to {most}, not {row[name]!r}")
    return degrees


def _time(row: Row, name: str, where: str) -> datetime:
    value: Any = row[name]
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ExportError(
            f"{where}: {name} must be a date and time with its offset from UTC, as in 2026-11-01T18:00:00+13:00, not "
            f"{str(value)[:40]!r}"
        )
    return time
