"""The configuration that every step of a run is given: the scope's YAML file, and what a person changes for one run.

It is read once per run. The first step that asks writes it down below Dagster's storage, and all other steps read that:
a YAML file that is edited while a run works decides the next run, never half of this one.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pipeline.config.problems import sentence
from pipeline.config.settings import Settings, configuration_file, load_settings
from pipeline.errors import ConfigurationError
from pipeline.files import exclusive, write_json

SCOPE_TAG = "naturewatch.scope"
"""Tag of a run: the name of its scope."""


class Scope(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The configuration of one scope. Each key below changes it for one run; empty or 0 keeps what is configured."""

    # No configuration has an empty key or a 0 here, so both can mean "as in the file": unlike null, the Launchpad
    # writes them down with its defaults, where a person sees what can be changed.
    config_file: str = Field(
        default="",
        description="The scope's YAML file. Empty: the environment variable NATUREWATCH_CONFIG, else conf/sample.yaml.",
    )
    target: float = Field(
        default=0.0,
        description="specificity.target: the share of answers that should be right, as 0.9. "
        "A higher target gives more answers at higher ranks. 0: as in the file.",
    )
    image_size: int = Field(
        default=0,
        description="training.image_size: width and height in pixels of what the networks see. "
        "A changed size trains every network anew. 0: as in the file.",
    )
    backbone: str = Field(
        default="",
        description="training.backbone: a network of timm, as inception_resnet_v2. "
        "A changed backbone trains every network anew. Empty: as in the file.",
    )
    weights: str = Field(
        default="",
        description="training.weights: what the backbone starts from: hub, package, none, or a file. "
        "Empty: as in the file.",
    )
    recipe: str = Field(
        default="",
        description="training.recipe: paper, sample, or a file of recipes (batch sizes, epochs, learning rates). "
        "A changed recipe trains every network anew. Empty: as in the file.",
    )

    _run: tuple[dg.DagsterInstance, str] | None = PrivateAttr(default=None)
    """The run that asks, and where it is kept; None outside of a run."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Dagster calls it before a step, and before a tick of a sensor, which belongs to no run."""
        if context.run is not None and context.instance is not None:
            self._run = context.instance, context.run.run_id

    def settings(self) -> Settings:
        """The configuration of this run; outside of a run that of the file as it is now.

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
                write_json(record, _recorded(settings))
                instance.add_run_tags(run_id, {SCOPE_TAG: settings.name})
        return self._restored(json.loads(record.read_text(encoding="utf-8")))

    def _resolved(self) -> Settings:
        """What the file, the environment and the Launchpad say now; the Launchpad decides."""
        file = configuration_file(Path(self.config_file) if self.config_file else None)
        values = _said(load_settings(file))
        chosen = {"specificity": ("target",), "training": ("image_size", "backbone", "weights", "recipe")}
        for section, keys in chosen.items():
            given = {key: value for key in keys if (value := getattr(self, key))}
            values[section] = {**values.get(section, {}), **given}
        try:
            return _Complete(**values)
        except ValidationError as error:
            raise ConfigurationError(sentence(error, Settings, file=Path("the Launchpad"))) from None

    def _restored(self, record: Mapping[str, Any]) -> Settings:
        """The configuration as it was written down; addresses with a secret in them are read again."""
        values = dict(record["settings"])
        if record["withheld"]:
            now = _said(self._resolved())
            for section, key in (name.split(".") for name in record["withheld"]):
                values[section] = {**values.get(section, {}), key: now[section][key]}
        return _Complete(**values)


class _Complete(Settings):
    """A configuration whose values are all given: the environment was asked when they were read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def record_of(instance: dg.DagsterInstance, run_id: str) -> Path:
    """`settings.json`: the configuration that a run works with, beside Dagster's own files of the run."""
    return Path(instance.storage_directory()) / run_id / "settings.json"


def _said(settings: Settings) -> dict[str, Any]:
    """The configuration as JSON, without defaults: whether a key was given decides, too (`pipeline.gbif.scope`)."""
    return settings.model_dump(mode="json", exclude_unset=True)


def _recorded(settings: Settings) -> dict[str, Any]:
    """What is written down: no address that may hold a password or a token, but only which keys those are."""
    values = _said(settings)
    withheld = list(_secret(values))
    for section, key in withheld:
        del values[section][key]
    return {"settings": values, "withheld": [f"{section}.{key}" for section, key in withheld]}


def _secret(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section and key of each address with a user, a password or a query."""
    for section, keys in values.items():
        for key, value in keys.items() if isinstance(keys, dict) else ():
            if isinstance(value, str) and "://" in value:
                parts = urlsplit(value)
                if "@" in parts.netloc or parts.query:
                    yield section, key
