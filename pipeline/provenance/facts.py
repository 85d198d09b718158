"""What is known of a model version's making, section by section; what is not known is said, never guessed."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown (registered before this was recorded)"

Value = str | int | float | bool | list["Value"] | dict[str, "Value"] | None


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One fact."""

    key: str
    """Its name in JSON."""
    value: Value
    """None where it is not known."""
    label: str = ""
    """Its name for people; empty: the key with blanks."""
    words: str | None = None
    """For people, where that is more than the value: a sentence, a number with its unit, why there is no value."""

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.label or self.key.replace("_", " ")

    @property
    def text(self) -> str:
        """For people."""
        if self.words is not None:
            return self.words
        if self.value is None:
            return UNKNOWN
        if isinstance(self.value, list):
            return "\n".join(map(str, self.value))
        if isinstance(self.value, dict):
            return "\n".join(f"{name} {_number(value)}" for name, value in self.value.items())
        return _number(self.value)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Facts that belong together."""

    key: str
    facts: tuple[Fact, ...]

    def json(self) -> dict[str, Value]:
        """The values by key."""
        return {fact.key: fact.value for fact in self.facts}


def moment(milliseconds: int) -> str:
    """A moment of the registry's (ISO 8601, UTC)."""
    return dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC).isoformat(timespec="seconds")


def _number(value: "Value") -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
