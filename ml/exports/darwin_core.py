"""Answers as identifications in Darwin Core: one CSV row per photograph, or per organism of several, with an answer.

Terms: https://dwc.tdwg.org/terms/, as `TERMS` names them. A row says that a machine made it, by which version, with
which probability and what that version promises; `PredictedByMachine` follows
https://github.com/tdwg/dwc-qa/issues/185. What has no answer is listed beside it with the reason.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

from ml.exports.answer_facts import RANKS, Answer, Distinct, Facts
from ml.exports.export_files import Table, Written, package, writing
from ml.exports.export_options import ExportOptions

_DWC: Final = "http://rs.tdwg.org/dwc/terms/"
TERMS: Final[dict[str, str]] = {
    name: _DWC + name
    for name in (
        "identificationID", "occurrenceID", "associatedMedia", "eventDate", "decimalLatitude", "decimalLongitude",
        "geodeticDatum", "verbatimIdentification", "scientificName", "taxonRank",
        "taxonID", "vernacularName", *RANKS[:-1], "specificEpithet", "identifiedBy", "identifiedByID",
        "dateIdentified", "identificationVerificationStatus", "identificationReferences", "identificationRemarks",
    )
}  # fmt: skip
"""The columns, each a term of Darwin Core, with its URI."""
UNANSWERED: Final = ("associatedMedia", "occurrenceID", "reason")
_TABLE: Final = "identifications.csv"
_REST: Final = "unanswered.csv"


def write(answers: Iterable[Answer], path: Path, options: ExportOptions) -> Written:
    """Write the identifications, and apart from them what has none.

    Args:
        answers: Answers and errors; they are read once, one by one.
        path: `NAME.csv`, beside which `NAME.unanswered.csv` is written; or `NAME.zip`, which holds both tables.
        options: The occurrences that are identified, and what names the version.

    Raises:
        ExportError: an answer is none.
    """
    if path.suffix.lower() == ".zip":
        with package(path, marker=_TABLE) as folder:
            written = _write(answers, folder / _TABLE, folder / _REST, options)
        return written._replace(files=(path,))
    return _write(answers, path, path.with_name(f"{path.stem}.unanswered{path.suffix}"), options)


def _write(answers: Iterable[Answer], path: Path, rest: Path, options: ExportOptions) -> Written:
    with writing(path) as stream, writing(rest) as beside:
        table, others = _fill(answers, stream, beside, options)
    return Written(files=(path, rest), answered=table.rows, unanswered=others.rows)


def _fill(answers: Iterable[Answer], stream: IO[str], beside: IO[str], options: ExportOptions) -> tuple[Table, Table]:
    table, others = Table(stream, list(TERMS)), Table(beside, UNANSWERED)
    distinct = Distinct()
    for answer in answers:
        facts = Facts.of(answer, options)
        media = " | ".join(facts.photos)
        occurrence = next((options.occurrences[photo] for photo in facts.photos if photo in options.occurrences), None)
        if facts.answered:
            row = {"identificationID": distinct(facts.identity), "occurrenceID": occurrence, "associatedMedia": media}
            table.add(row | _where(facts, options) | _row(facts, options))
        else:
            others.add({"associatedMedia": media, "occurrenceID": occurrence, "reason": facts.why_unanswered})
    return table, others


def _where(facts: Facts, options: ExportOptions) -> dict[str, str | None]:
    """When the photographs were taken, as far as the caller knows, and the place that counted for the answer."""
    latitude, longitude = (None, None) if facts.place is None else (f"{degrees:.6f}" for degrees in facts.place)
    return {
        "eventDate": next((options.captured[photo] for photo in facts.photos if photo in options.captured), None),
        "decimalLatitude": latitude,
        "decimalLongitude": longitude,
        "geodeticDatum": None if facts.place is None else "EPSG:4326",
    }


def _row(facts: Facts, options: ExportOptions) -> dict[str, str | None]:
    words = (facts.taxon or "").split(" ")
    return {
        "verbatimIdentification": facts.taxon,
        "scientificName": facts.taxon,
        "taxonRank": facts.rank,
        "taxonID": facts.taxon_id,
        "vernacularName": facts.common_name,
        **{rank: facts.ranks.get(rank) for rank in RANKS[:-1]},
        # Of hybrids and other names of more than two words the second is no epithet.
        "specificEpithet": words[1] if facts.rank == "species" and len(words) == 2 else None,
        "identifiedBy": facts.model,
        "identifiedByID": facts.model_uri,
        "dateIdentified": options.identified.isoformat(),
        "identificationVerificationStatus": "PredictedByMachine",
        "identificationReferences": options.references or f"{facts.model} ({facts.model_uri})",
        "identificationRemarks": facts.remarks,
    }
