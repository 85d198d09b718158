"""Camtrap DP 1.0.2's table schemas, as its specification states fields, types and constraints.

Source: https://github.com/tdwg/camtrap-dp (MIT licence), `deployments-`, `media-` and `observations-table-schema.json`.
"""

from typing import Any, Final

TIME: Final = "datetime:%Y-%m-%dT%H:%M:%S%z"
REQUIRED: Final = {"required": True}
UNIQUE: Final = {"required": True, "unique": True}


def _range(least: float | None = None, most: float | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        **({} if least is None else {"minimum": least}), **({} if most is None else {"maximum": most}), **more,
    }  # fmt: skip


def _one_of(*values: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"enum": list(values), **more}


Fields = dict[str, tuple[str, dict[str, Any]]]
"""Name to type, with its format behind a colon, and constraints."""

DEPLOYMENTS: Final[Fields] = {
    "deploymentID": ("string", UNIQUE),
    "locationID": ("string", {}),
    "locationName": ("string", {}),
    "latitude": ("number", _range(-90, 90, required=True)),
    "longitude": ("number", _range(-180, 180, required=True)),
    "coordinateUncertainty": ("integer", _range(1)),
    "deploymentStart": (TIME, REQUIRED),
    "deploymentEnd": (TIME, REQUIRED),
    "setupBy": ("string", {}),
    "cameraID": ("string", {}),
    "cameraModel": ("string", {}),
    "cameraDelay": ("integer", _range(0)),
    "cameraHeight": ("number", _range(0)),
    "cameraDepth": ("number", _range(0)),
    "cameraTilt": ("integer", _range(-90, 90)),
    "cameraHeading": ("integer", _range(0, 360)),
    "detectionDistance": ("number", _range(0)),
    "timestampIssues": ("boolean", {}),
    "baitUse": ("boolean", {}),
    "featureType": (
        "string",
        _one_of(
            "roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge",
            "culvert", "burrow", "nestSite", "carcass", "waterSource", "fruitingTree",
        ),
    ),
    "habitat": ("string", {}),
    "deploymentGroups": ("string", {}),
    "deploymentTags": ("string", {}),
    "deploymentComments": ("string", {}),
}  # fmt: skip
MEDIA: Final[Fields] = {
    "mediaID": ("string", UNIQUE),
    "deploymentID": ("string", REQUIRED),
    "captureMethod": ("string", _one_of("activityDetection", "timeLapse")),
    "timestamp": (TIME, REQUIRED),
    "filePath": ("string", {"required": True, "pattern": r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"}),
    "filePublic": ("boolean", REQUIRED),
    "fileName": ("string", {}),
    "fileMediatype": ("string", {"required": True, "pattern": r"^(image|video|audio)\/.*$"}),
    "exifData": ("any", {}),
    "favorite": ("boolean", {}),
    "mediaComments": ("string", {}),
}
OBSERVATIONS: Final[Fields] = {
    "observationID": ("string", UNIQUE),
    "deploymentID": ("string", REQUIRED),
    "mediaID": ("string", {}),
    "eventID": ("string", {}),
    "eventStart": (TIME, REQUIRED),
    "eventEnd": (TIME, REQUIRED),
    "observationLevel": ("string", _one_of("media", "event", required=True)),
    "observationType": (
        "string",
        _one_of("animal", "human", "vehicle", "blank", "unknown", "unclassified", required=True),
    ),
    "cameraSetupType": ("string", _one_of("setup", "calibration")),
    "scientificName": ("string", {}),
    "count": ("integer", _range(1)),
    "lifeStage": ("string", _one_of("adult", "subadult", "juvenile")),
    "sex": ("string", _one_of("female", "male")),
    "behavior": ("string", {}),
    "individualID": ("string", {}),
    "individualPositionRadius": ("number", _range(0)),
    "individualPositionAngle": ("number", _range(-90, 90)),
    "individualSpeed": ("number", _range(0)),
    "bboxX": ("number", _range(0, 1)),
    "bboxY": ("number", _range(0, 1)),
    "bboxWidth": ("number", _range(1e-15, 1)),
    "bboxHeight": ("number", _range(1e-15, 1)),
    "classificationMethod": ("string", _one_of("human", "machine")),
    "classifiedBy": ("string", {}),
    "classificationTimestamp": (TIME, {}),
    "classificationProbability": ("number", _range(0, 1)),
    "observationTags": ("string", {}),
    "observationComments": ("string", {}),
}
_KEYS: Final[dict[str, tuple[str, Fields, dict[str, str]]]] = {
    "deployments": ("deploymentID", DEPLOYMENTS, {}),
    "media": ("mediaID", MEDIA, {"deploymentID": "deployments"}),
    "observations": ("observationID", OBSERVATIONS, {"deploymentID": "deployments", "mediaID": "media"}),
}


def table_schema(name: str) -> dict[str, Any]:
    """The Table Schema of `deployments`, `media` or `observations`."""
    key, fields, foreign = _KEYS[name]
    return {
        "fields": [
            {
                "name": field,
                "type": kind.partition(":")[0],
                **({"format": kind.partition(":")[2]} if ":" in kind else {}),
                "constraints": constraints,
            }
            for field, (kind, constraints) in fields.items()
        ],
        "missingValues": ["", "NA", "NaN", "nan"],
        "primaryKey": [key],
        "foreignKeys": [
            {"fields": [field], "reference": {"resource": resource, "fields": [field]}}
            for field, resource in foreign.items()
        ],
    }


PROFILE: Final[dict[str, Any]] = {
    "type": "object",
    "required": [
        "resources", "profile", "created", "contributors", "project", "spatial", "temporal", "taxonomic",
    ],
    "properties": {
        "resources": {"minItems": 3, "items": {"required": ["name", "path"]}},
        "profile": {"pattern": r"1\.0"},
        "created": {"type": "string", "format": "date-time"},
        "contributors": {
            "minItems": 1,
            "items": {
                "required": ["title"],
                "properties": {
                    "role": {"enum": ["contact", "principalInvestigator", "rightsHolder", "publisher", "contributor"]},
                },
            },
        },
        "licenses": {"minItems": 2, "items": {"required": ["scope"]}},
        "project": {
            "required": ["title", "samplingDesign", "captureMethod", "individualAnimals", "observationLevel"],
            "properties": {
                "samplingDesign": {
                    "enum": [
                        "simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted",
                        "opportunistic",
                    ]
                },
                "captureMethod": {
                    "type": "array", "minItems": 1, "uniqueItems": True,
                    "items": {"enum": ["activityDetection", "timeLapse"]},
                },
                "individualAnimals": {"type": "boolean"},
                "observationLevel": {"type": "array", "items": {"enum": ["media", "event"]}},
            },
        },
        "spatial": {"type": "object", "required": ["type", "coordinates"]},
        "temporal": {
            "required": ["start", "end"],
            "properties": {name: {"type": "string", "format": "date"} for name in ("start", "end")},
        },
        "taxonomic": {
            "type": "array",
            "items": {
                "required": ["scientificName"],
                "properties": {
                    "taxonRank": {
                        "enum": [
                            "kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies",
                        ]
                    }
                },
            },
        },
    },
}  # fmt: skip
"""What Camtrap DP's profile demands of `datapackage.json` beyond the Data Package, as a JSON Schema."""
