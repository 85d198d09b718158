"""What composing a classifier with a prior of place and season came to: as text, and for machines."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.classifiers.composed_photographs import LEFT_OUT, Composer, Lessons, Outcome
from ml.classifiers.gains import Gain
from ml.classifiers.place_tables import PlaceTable, told
from ml.places.choice import LEAST_ROWS
from ml.places.sites import YEAR

CASES = ("place and date", "place", "no place", "far")


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """Everything that was found."""

    output: Path
    occurrences: PlaceTable
    calibration: PlaceTable
    photographs: PlaceTable
    lessons: Lessons
    composer: Composer
    outcome: Outcome

    def as_json(self) -> dict[str, Any]:
        """For machines; `alone`, `composed` and `gain` are null where no photograph has a species."""
        composer, lessons, measured = self.composer, self.lessons, self.outcome.measured
        found: dict[str, Any] = {
            "output": str(self.output),
            "chosen": composer.chosen,
            "settings": composer.settings.model_dump(),
            "temperature": {"alone": composer.alone, "composed": composer.composed},
            "occurrences": {
                **_facts(self.occurrences),
                "used": len(lessons.records.class_id),
                "left_out": {_key(reason): lessons.left_out[reason] for reason in LEFT_OUT},
                "without_day": lessons.undated,
                "classes": lessons.classes,
            },
            "calibration": {**_facts(self.calibration), "chose": composer.choosers},
            "photographs": {
                **_facts(self.photographs),
                **{_key(case): self.outcome.cases[case] for case in CASES},
                "measured": measured.photos if measured else 0,
                "also_calibration": self._shared(),
            },
            "alone": None,
            "composed": None,
            "gain": None,
        }
        if measured:
            found["alone"] = {"accuracy": measured.alone_accuracy, "log_loss": measured.alone_log_loss}
            found["composed"] = {"accuracy": measured.composed_accuracy, "log_loss": measured.composed_log_loss}
            found["gain"] = {"accuracy": measured.accuracy._asdict(), "log_loss": measured.log_loss._asdict()}
        return found

    def readable(self) -> str:
        """As text."""
        return (
            "\n".join([*self._learnt(), *self._chosen(), *self._composed(), *self._measured(), *self._notes()]) + "\n"
        )

    def _shared(self) -> int:
        """Photographs whose occurrence is also among those that chose."""
        chose = {*self.calibration.ids} - {""}
        return sum(identifier in chose for identifier in self.photographs.ids)

    def _learnt(self) -> list[str]:
        lessons = self.lessons
        used, rows, classes = len(lessons.records.class_id), len(self.occurrences), self.composer.taxonomy.class_count
        lines = [f"occurrences  {used:,} of {rows:,} teach {lessons.classes:,} of {classes:,} species"]
        words = {
            "no class": "of species that are no class",
            "no place": "without a usable place",
            "repeated": "repeated",
            "asked about": "of the photographs themselves",
        }
        out = [f"{lessons.left_out[reason]:,} {words[reason]}" for reason in LEFT_OUT if lessons.left_out[reason]]
        if out:
            lines.append(f"left out     {', '.join(out)}")
        return lines

    def _chosen(self) -> list[str]:
        composer, settings = self.composer, self.composer.settings
        how = f"chosen by {composer.choosers:,} calibration photographs"
        if not composer.chosen:
            how = f"the usual ones: {composer.choosers:,} calibration photographs with a known place cannot choose "
            how += f"({LEAST_ROWS} can)"
        season = f"season {settings.season_days:g} days" if settings.season_days < YEAR else "no season"
        kernels = f"{settings.neighbours} neighbours, width {settings.width:g}, {season}"
        powers = f"floor {settings.floor:g}, exponent {settings.exponent:g}, base rate {settings.base_rate:g}"
        lines = [f"parameters   {kernels}, {powers}", f"             {how}"]
        if not settings.exponent:
            lines.append("             an exponent of 0: places do not help these photographs, nothing was changed")
        return lines

    def _composed(self) -> list[str]:
        cases = self.outcome.cases
        both, place, nowhere, far = (f"{cases[case]:,}" for case in CASES)
        return [
            f"photographs  {both} composed with place and date, {place} with place only",
            f"left alone   {nowhere} without a usable place, {far} far from every occurrence",
        ]

    def _measured(self) -> list[str]:
        measured = self.outcome.measured
        if measured is None:
            return ["gain         not measured: the photographs' species are not given"]
        told = f"at temperatures {self.composer.alone:.2f} and {self.composer.composed:.2f}"
        rows = [
            ("accuracy", f"{measured.alone_accuracy:.1%}", f"{measured.composed_accuracy:.1%}",
             f"{_shown(measured.accuracy, 100, 1)} points"),
            ("log-loss", f"{measured.alone_log_loss:.3f}", f"{measured.composed_log_loss:.3f}",
             f"{_shown(measured.log_loss, 1, 3)} {told}"),
        ]  # fmt: skip
        head = ("measured", "alone", "composed", f"gain, 95 % interval ({measured.photos:,} photographs)")
        return ["", *(f"{name:13}{alone:10}{composed:11}{gained}" for name, alone, composed, gained in [head, *rows])]

    def _notes(self) -> list[str]:
        """What was wrong with rows, with the first of each kind."""
        lines = []
        if shared := self._shared():
            lines.append(f"{shared:,} photographs have chosen the parameters, too: their gain is flattered")
        for table in (self.occurrences, self.calibration, self.photographs):
            name = table.path.name
            lines += [
                f"{name}: {count:,} rows with {kind.replace('no ', 'no usable ')} ({table.problems.first[kind]})"
                for kind, count in table.problems.counts.items()
            ]
            if table.strange:
                lines.append(
                    f"{name}: {table.strange.total():,} rows of species that are no class: {told(table.strange)}"
                )
        return ["", *lines] if lines else []


def _facts(table: PlaceTable) -> dict[str, Any]:
    return {
        "rows": len(table),
        "problems": {_key(kind): count for kind, count in table.problems.counts.items()},
        "first_problems": {_key(kind): said for kind, said in table.problems.first.items()},
        "species_of_no_class": dict(table.strange.most_common()),
    }


def _key(words: str) -> str:
    return words.replace(" ", "_")


def _shown(gain: Gain, factor: int, digits: int) -> str:
    value = f"{factor * gain.value:+.{digits}f}"
    if gain.low is None or gain.high is None:
        return value
    return f"{value} [{factor * gain.low:+.{digits}f}, {factor * gain.high:+.{digits}f}]"
