"""Answers as MegaDetector's batch results (JSON, format 1.5), which Timelapse and AddaxAI read.

Format: https://lila.science/megadetector-output-format. Each photograph is one detection with one classification: the
answer. The box is the region of interest, else the whole photograph: nothing is detected here. A photograph that failed
has `failure` and no detections. Timelapse finds photographs by their path below the folder that holds the JSON file.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

from ml.exports.answer_facts import RANKS, Answer, Facts, relative
from ml.exports.export_files import Written, plain, writing
from ml.exports.export_options import ExportOptions

FORMAT_VERSION: Final = "1.5"
CATEGORIES: Final = {"1": "animal", "2": "person", "3": "vehicle", "4": "plant", "5": "fungus", "6": "other organism"}
"""MegaDetector's own three, on whose names programs depend, then what else grows."""
_OF_KINGDOM: Final = {"Animalia": "1", "Metazoa": "1", "Plantae": "4", "Fungi": "5"}
_OTHER: Final = "6"
_PERSON: Final = "2"
_WHOLE: Final = (0.0, 0.0, 1.0, 1.0)
_DECIMALS: Final = 4


def write(answers: Iterable[Answer], path: Path, options: ExportOptions) -> Written:
    """Write the results.

    Args:
        answers: Answers and errors; they are read once, one by one.
        path: The JSON file, in the folder of the photographs or in one above it.
        options: The base of the photographs' paths, and the region of interest.

    Raises:
        ExportError: an answer is none, or a photograph lies outside the base.
    """
    with writing(path) as stream:
        counted = _fill(answers, stream, options)
    return Written((path,), *counted)


def _fill(answers: Iterable[Answer], stream: IO[str], options: ExportOptions) -> tuple[int, int]:
    """The photographs first, as they come; the categories are known when the last has been written."""
    categories: dict[tuple[str, str], str] = {}
    classifier, counted, separator = None, [0, 0], ""
    stream.write('{"images": [')
    for answer in answers:
        facts = Facts.of(answer, options)
        classifier = classifier or facts.model
        counted[0 if facts.answered else 1] += 1
        for photo in facts.photos:
            image = _image(facts, relative(photo, options), categories)
            stream.write(f"{separator}\n {json.dumps(image, ensure_ascii=False)}")
            separator = ","
    rest = {
        "info": {
            "format_version": FORMAT_VERSION,
            "classifier": classifier or "NatureWatch",
            "classification_completion_time": options.identified.strftime("%Y-%m-%d %H:%M:%S"),
        },
        "detection_categories": CATEGORIES,
        "classification_categories": {number: name for (name, _), number in categories.items()},
        "classification_category_descriptions": {number: lineage for (_, lineage), number in categories.items()},
    }
    stream.write("\n],\n" + json.dumps(rest, ensure_ascii=False, indent=1)[1:] + "\n")
    return counted[0], counted[1]


def _image(facts: Facts, file: str, categories: dict[tuple[str, str], str]) -> dict[str, Any]:
    image: dict[str, Any] = {"file": file}
    if facts.error is not None:
        return image | {"failure": plain(facts.error), "detections": None}
    left, upper, right, lower = facts.region or _WHOLE
    detection: dict[str, Any] = {
        "category": _category(facts),
        "conf": round(facts.kingdom_probability or 0.0, _DECIMALS),
        "bbox": [round(edge, _DECIMALS) for edge in (left, upper, right - left, lower - upper)],
    }
    if facts.answered:
        key = plain(facts.taxon or ""), _description(facts)
        number = categories.setdefault(key, str(len(categories) + 1))
        detection["classifications"] = [[number, round(facts.probability or 0.0, _DECIMALS)]]
    return image | {"detections": [detection]}


def _category(facts: Facts) -> str:
    if facts.taxon == "Homo sapiens":
        return _PERSON
    return _OF_KINGDOM.get(facts.ranks.get("kingdom", ""), _OTHER)


def _description(facts: Facts) -> str:
    """The ranks from kingdom to species, lower case and parted by semicolons; empty where there is none."""
    return ";".join(facts.ranks.get(rank, "").lower() for rank in RANKS)
