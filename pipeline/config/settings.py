"""The configuration: one YAML file per scope, every key overridable by the environment.

`NATUREWATCH_CONFIG` names the file (default `conf/sample.yaml`), `NATUREWATCH__SECTION__KEY` overrides a key.
Credentials for GBIF come from `GBIF_USER`, `GBIF_PASSWORD` and `GBIF_EMAIL` only and are never part of it.
"""

import functools
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ml.spec import Line
from pipeline.config.licence_names import licences_of
from pipeline.config.problems import (
    CONFIG_VARIABLE,
    PREFIX,
    broken_json,
    refuse_unknown_sections,
    refuse_unknown_variables,
    sentence,
)
from pipeline.config.sections import (
    COL_XR_CHECKLIST,
    INATURALIST_DATASET,
    HostLimits,
    PhotoSettings,
    RegistrySettings,
    SourceSettings,
    SpecificitySettings,
    SplitSettings,
    TaxonomySettings,
    TrainingSettings,
)
from pipeline.config.upkeep import (
    AlertSettings,
    ExamSettings,
    GateSettings,
    LabelSettings,
    RefreshSettings,
    RetentionSettings,
)
from pipeline.config.values import Folder, expanded, sqlite_address
from pipeline.config.yaml_file import read_mapping
from pipeline.errors import ConfigurationError
from pipeline.paths import Paths
from pipeline.project_folder import SAMPLE, project_folder

__all__ = [
    "COL_XR_CHECKLIST",
    "INATURALIST_DATASET",
    "HostLimits",
    "PhotoSettings",
    "Settings",
    "SourceSettings",
    "SpecificitySettings",
    "SplitSettings",
    "TrainingSettings",
    "configuration_file",
    "load_settings",
]


class _Environment(EnvSettingsSource):
    """The environment variables; in their JSON each key may appear once, as in a file."""

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:  # noqa: ANN401, ARG002
        """Like pydantic-settings' method, which lets the last of two equal keys win, but refuse the second."""
        return json.loads(value, object_pairs_hook=functools.partial(_once, section=field_name))


def _once(pairs: list[tuple[str, Any]], *, section: str) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigurationError(f"the JSON of {section} in the environment holds the key {twice[0]} twice")
    return dict(pairs)


class Settings(BaseSettings):
    """The whole configuration of one scope."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_parse_none_str="null",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    name: Line
    """Name of the scope."""
    data_root: Folder
    """Folder that everything is written to."""
    source: SourceSettings = SourceSettings()
    photos: PhotoSettings = PhotoSettings()
    taxonomy: TaxonomySettings = TaxonomySettings()
    split: SplitSettings = SplitSettings()
    training: TrainingSettings = TrainingSettings()
    specificity: SpecificitySettings = SpecificitySettings()
    registry: RegistrySettings = RegistrySettings()
    refresh: RefreshSettings = RefreshSettings()
    exam: ExamSettings = ExamSettings()
    gate: GateSettings = GateSettings()
    retention: RetentionSettings = RetentionSettings()
    labels: LabelSettings = LabelSettings()
    alerts: AlertSettings = AlertSettings()

    @classmethod
    def settings_customise_sources(  # noqa: D102 (pydantic-settings documents it)
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del env_settings, dotenv_settings, file_secret_settings
        return _Environment(settings_cls), init_settings

    @cached_property
    def paths(self) -> Paths:
        """Where the files of this scope are."""
        return Paths(data_root=self.data_root.absolute())

    @property
    def own_photographs(self) -> bool:
        """Whether the photographs are one's own, listed in a CSV, rather than GBIF's."""
        return self.source.mode == "folder" or (
            self.source.mode == "replica" and self.source.replica.photos is not None
        )

    @property
    def allowed_licences(self) -> tuple[str, ...]:
        """The licences of photographs that are used: those of `photos.licences`, else the default of the source.

        Canonical (`pipeline.config.licence_names.LICENCES`) and in their order there; never empty.
        """
        return licences_of(self.photos.licences or ("all" if self.own_photographs else "open",))

    @property
    def contact_advice(self) -> str | None:
        """What to do about `photos.contact`, in one line; None where it is set, or where no foreign host is asked."""
        if self.source.mode in {"replica", "folder"} or "contact" in self.photos.model_fields_set:
            return None
        return (
            "photos.contact is not set, so GBIF and the photo hosts cannot reach you if something goes wrong: "
            "set it to your e-mail address or web page, such as mailto:you@example.org"
        )

    @property
    def tracking_uri(self) -> str:
        """MLflow's store as an absolute address."""
        return self.registry.tracking_uri or sqlite_address(self.paths.mlflow_database)


def configuration_file(path: Path | None = None) -> Path:
    """The scope's YAML file, absolute: `path`, else `NATUREWATCH_CONFIG`, else `conf/sample.yaml` of the project.

    Raises:
        ConfigurationError: the name cannot be a path.
    """
    given = os.environ.get(CONFIG_VARIABLE, str(project_folder() / SAMPLE)) if path is None else path
    try:
        return expanded(given).absolute()
    except ValueError as error:
        source = CONFIG_VARIABLE if path is None else "the configuration"
        raise ConfigurationError(f"{source} is {str(given)!r}: {error}") from error


def load_settings(path: Path | None = None) -> Settings:
    """Read the scope file and the environment's overrides.

    Args:
        path: The YAML file; by default the one that `NATUREWATCH_CONFIG` names, else `conf/sample.yaml`.

    Raises:
        ConfigurationError: the file cannot be read, or a key is unknown or wrong; the key is named.
    """
    file = configuration_file(path)
    values = read_mapping(file)
    refuse_unknown_sections(values, Settings, file=file)
    refuse_unknown_variables(Settings)
    try:
        return Settings(**values)
    except ValidationError as error:
        # Without the cause, which repeats values that may be secret.
        raise ConfigurationError(sentence(error, Settings, file=file)) from None
    except SettingsError as error:
        raise ConfigurationError(broken_json(error)) from None
