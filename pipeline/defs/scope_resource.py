"""The configuration of every step of a run: the scope's YAML file, with the changes made in the Launchpad.

It is resolved once per run. The first step saves it below Dagster's storage, and all other steps read that file: a YAML
file that is edited during a run takes effect in the next run, never halfway through this one.
"""

import enum
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import dagster as dg
from dagster._core.storage.tags import SCHEDULE_NAME_TAG, SENSOR_NAME_TAG
from pydantic import BaseModel, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pipeline.config.problems import sentence
from pipeline.config.sections import PhotoSettings, SourceSettings, SpecificitySettings, TrainingSettings
from pipeline.config.settings import Settings, configuration_file, load_settings
from pipeline.errors import ConfigurationError
from pipeline.files import exclusive, write_json
from pipeline.launching.pools import PROCESS_TAG

SCOPE_TAG: Final = "naturewatch.scope"
"""Tag of a run: the name of its scope."""
ORIGIN_TAG: Final = "naturewatch.started_by"
"""Tag of a run: a schedule, a sensor, the command line or the UI."""
COMMAND_TAGS: Final = (PROCESS_TAG, "naturewatch.log")
"""Tags of a run of `naturewatch run`, in one process and in several."""


class PhotoLicence(enum.Enum):
    """Licences of photographs, and words for several, as the Launchpad completes them."""

    OPEN = "open"
    ALL = "all"
    CC0 = "CC0"
    PDM = "PDM"
    CC_BY = "CC-BY"
    CC_BY_NC = "CC-BY-NC"
    CC_BY_SA = "CC-BY-SA"
    CC_BY_ND = "CC-BY-ND"
    CC_BY_NC_SA = "CC-BY-NC-SA"
    CC_BY_NC_ND = "CC-BY-NC-ND"
    ALL_RIGHTS_RESERVED = "all rights reserved"
    UNKNOWN = "unknown"
    OTHER = "other"


def _words(section: type[BaseModel], name: str, more: str) -> str:
    """The description of a key as in `docs/configuration.md`, and what the Launchpad adds to it."""
    return f"{' '.join((section.model_fields[name].description or '').split())} {more}"


NEW_DATA = "What is made below data_root is then of this scope; `changes` says so. Empty: as in the file."


class Scope(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The configuration of one scope. Each key below changes it for one run; empty or 0 keeps what is configured."""

    # Neither an empty value nor 0 is valid in these keys, so both can mean "as in the file". Unlike null, the Launchpad
    # shows them among its defaults, so that people see what can be changed.
    config_file: str = Field(
        default="",
        description="The scope's YAML file. Empty: the environment variable NATUREWATCH_CONFIG, else conf/sample.yaml.",
    )
    taxon_keys: list[str] = Field(
        default=[],
        description=_words(SourceSettings, "taxon_keys", f"For instance [V2], the birds. {NEW_DATA}"),
    )
    country: str = Field(default="", description=_words(SourceSettings, "country", NEW_DATA))
    years: list[int] = Field(default=[], description=_words(SourceSettings, "years", NEW_DATA))
    licences: list[PhotoLicence] = Field(default=[], description=_words(PhotoSettings, "licences", NEW_DATA))
    target: float = Field(
        default=0.0,
        description=_words(SpecificitySettings, "target", "Higher: more answers at higher ranks. 0: as in the file."),
    )
    image_size: int = Field(
        default=0,
        description=_words(TrainingSettings, "image_size", "A change trains every network anew. 0: as in the file."),
    )
    backbone: str = Field(
        default="",
        description=_words(TrainingSettings, "backbone", "A change trains every network anew. Empty: as in the file."),
    )
    weights: str = Field(
        default="",
        description=_words(TrainingSettings, "weights", "A change trains every network anew. Empty: as in the file."),
    )
    recipe: str = Field(
        default="",
        description=_words(TrainingSettings, "recipe", "A change trains every network anew. Empty: as in the file."),
    )

    _run: tuple[dg.DagsterInstance, str] | None = PrivateAttr(default=None)
    """The Dagster instance and the ID of the run; None outside of a run."""
    _origin: str = PrivateAttr(default="")
    """Who started the run."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember the run. Dagster calls this before a step, and before a sensor's tick, which belongs to no run."""
        if context.run is not None and context.instance is not None:
            self._run = context.instance, context.run.run_id
            self._origin = origin(context.run.tags)

    def settings(self) -> Settings:
        """The configuration of this run; outside of a run, that of the file as it is now.

        Raises:
            ConfigurationError: a key is unknown or wrong.
        """
        if self._run is None:
            return self._resolved()
        instance, run_id = self._run
        record = record_of(instance, run_id)
        with exclusive(record.with_suffix(".lock")):
            if not record.exists():
                settings = self._resolved()
                write_json(record, _to_record(settings))
                instance.add_run_tags(run_id, {SCOPE_TAG: settings.name, ORIGIN_TAG: self._origin})
        return self._from_record(json.loads(record.read_text(encoding="utf-8")))

    def _resolved(self) -> Settings:
        """The file, overridden by the environment, overridden by the Launchpad."""
        file = configuration_file(Path(self.config_file) if self.config_file else None)
        values = _given(load_settings(file))
        chosen = {
            "source": ("taxon_keys", "country", "years"),
            "photos": ("licences",),
            "specificity": ("target",),
            "training": ("image_size", "backbone", "weights", "recipe"),
        }
        for section, keys in chosen.items():
            given = {key: _plain(value) for key in keys if (value := getattr(self, key))}
            values[section] = {**values.get(section, {}), **given}
        try:
            return _Complete(**values)
        except ValidationError as error:
            raise ConfigurationError(sentence(error, Settings, file=Path("the Launchpad"))) from None

    def _from_record(self, record: Mapping[str, Any]) -> Settings:
        """The configuration as it was saved; addresses that may hold a secret are resolved again."""
        values = dict(record["settings"])
        if record["withheld"]:
            now = _given(self._resolved())
            for section, key in (name.split(".") for name in record["withheld"]):
                values[section] = {**values.get(section, {}), key: now[section][key]}
        return _Complete(**values)


class _Complete(Settings):
    """A configuration made of the given values alone: the environment was read when they were resolved."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, others, named
        return (init_settings,)


def _plain(value: object) -> object:
    """A value of the Launchpad as a file would hold it."""
    return (
        [each.value if isinstance(each, PhotoLicence) else each for each in value] if isinstance(value, list) else value
    )


def origin(tags: Mapping[str, str]) -> str:
    """Who started a run, by its tags. Dagster says for schedules and sensors only, and calls all others manual."""
    for tag, kind in ((SCHEDULE_NAME_TAG, "schedule"), (SENSOR_NAME_TAG, "sensor")):
        if tag in tags:
            return f"{kind} {tags[tag]}"
    return "command" if any(tag in tags for tag in COMMAND_TAGS) else "UI"


def record_of(instance: dg.DagsterInstance, run_id: str) -> Path:
    """`settings.json`: the configuration of a run, beside Dagster's own files of the run."""
    return Path(instance.storage_directory()) / run_id / "settings.json"


def _given(settings: Settings) -> dict[str, Any]:
    """The configuration as JSON, without defaults: whether a key was given matters, too (`pipeline.gbif.scope`)."""
    return settings.model_dump(mode="json", exclude_unset=True)


def _to_record(settings: Settings) -> dict[str, Any]:
    """What is saved: the configuration without addresses that may hold a secret, and the keys of those addresses."""
    values = _given(settings)
    # No step tells people, and whoever knows the address of a chat can write there.
    values.pop("alerts", None)
    withheld = list(_secret(values))
    for section, key in withheld:
        del values[section][key]
    return {"settings": values, "withheld": [f"{section}.{key}" for section, key in withheld]}


def _secret(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section and key of each address with a user, a password or a query string."""
    for section, keys in values.items():
        for key, value in keys.items() if isinstance(keys, dict) else ():
            if isinstance(value, str) and "://" in value:
                parts = urlsplit(value)
                if "@" in parts.netloc or parts.query:
                    yield section, key
