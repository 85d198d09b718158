"""An answer as one row of a table: a column per rank and its probability, for CSV and Parquet."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml.serving.answer_text import Answer
from ml.spec import RANKS

Row = dict[str, str | float | int | bool | None]

TEXT, NUMBER, WHOLE = "text", "number", "whole"
DECIMALS: Final = 6
"""Of probabilities; what is behind them is the rounding of a processor."""


def columns(*, top: int) -> dict[str, str]:
    """The columns of the table, in order, and what each holds: `text`, `number` or `whole`.

    Args:
        top: How many species are listed.
    """
    names = {
        "photo": TEXT, "photos": WHOLE, "error": TEXT, "taxon": TEXT, "rank": TEXT, "taxon_key": TEXT,
        "common_name": TEXT, "probability": NUMBER, "depth": WHOLE, "threshold": NUMBER, "rule": TEXT,
        "target": NUMBER, "within": TEXT, "promise": TEXT, "stop": TEXT,
    }  # fmt: skip
    for rank in RANKS:
        names |= {rank: TEXT, f"{rank}_probability": NUMBER}
    names |= {"next_rank": TEXT, "next": TEXT, "next_probability": NUMBER}
    for place in range(1, top + 1):
        names |= {f"top_{place}": TEXT, f"top_{place}_key": TEXT, f"top_{place}_probability": NUMBER}
    names |= {
        "prior_case": TEXT, "latitude": NUMBER, "longitude": NUMBER, "day_of_year": WHOLE, "nearest_km": NUMBER,
        "prior": TEXT, "alone_rank": TEXT, "alone_taxon": TEXT, "alone_probability": NUMBER,
    }  # fmt: skip
    names |= {"alarms": TEXT, "novelty_known": NUMBER, "warnings": TEXT, "gbif": TEXT}
    return names | {"model_name": TEXT, "model_version": TEXT}


def row_of(answer: Answer, *, top: int) -> Row:
    """The row of an answer, or of a photograph that has none; what an answer does not say is None.

    The columns of the ranks go down to the answer and no further: what lies below it is not promised. Where the answer
    would have gone on is in `next`, the likely species in `top_1`, `top_2` and so on.
    """
    row: Row = dict.fromkeys(columns(top=top))
    row |= {"photo": _plain(answer["photo"]), "photos": len(answer.get("photos") or [1])}
    if "error" in answer:
        return row | {"error": _plain(answer["error"])}
    promise, stop, model = (answer.get(name) or {} for name in ("promise", "stop", "model"))
    row |= {name: answer.get(name) for name in ("taxon", "rank", "taxon_key", "common_name", "depth", "rule", "gbif")}
    row |= {name: _rounded(answer.get(name)) for name in ("probability", "threshold", "target")}
    row |= {"within": _joined(answer.get("within")), "promise": promise.get("text"), "stop": stop.get("text")}
    for step in answer["lineage"]:
        if step["rank"] in RANKS:
            row |= {step["rank"]: step["name"], f"{step['rank']}_probability": _rounded(step["probability"])}
    if following := stop.get("next"):
        row |= {"next_rank": following["rank"], "next": following["name"]}
        row["next_probability"] = _rounded(following["probability"])
    for place, species in enumerate(answer["top"][:top], start=1):
        row |= {f"top_{place}": species["name"], f"top_{place}_key": species["taxon_key"]}
        row[f"top_{place}_probability"] = _rounded(species["probability"])
    row |= _prior(answer.get("prior") or {})
    alarms = [taxon["lineage"] for taxon in answer.get("watch") or () if taxon["alarm"]]
    novelty = answer.get("novelty") or {}
    row |= {"alarms": _joined(alarms), "novelty_known": _rounded(novelty.get("known"))}
    row["warnings"] = _joined([_plain(warning["text"]) for warning in answer.get("warnings") or ()])
    return row | {"model_name": model.get("name"), "model_version": _text(model.get("version"))}


def _prior(prior: Mapping[str, Any]) -> Row:
    """What place and season did; all None where the version knows no places."""
    latitude, longitude = prior.get("place") or (None, None)
    alone = prior.get("alone") or {}
    return {
        "prior_case": prior.get("case"), "latitude": latitude, "longitude": longitude, "day_of_year": prior.get("day"),
        "nearest_km": _rounded(prior.get("nearest_km")), "prior": prior.get("text"), "alone_rank": alone.get("rank"),
        "alone_taxon": alone.get("taxon"), "alone_probability": _rounded(alone.get("probability")),
    }  # fmt: skip


def _rounded(number: Any) -> float | None:  # noqa: ANN401 (what JSON has)
    return None if number is None else round(float(number), DECIMALS)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _joined(texts: Sequence[str] | None) -> str | None:
    return "; ".join(texts) if texts else None


def _plain(text: str) -> str:
    """A text that UTF-8 can write: names of files may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()
