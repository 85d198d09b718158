"""One YAML file per scope; the environment overrides; what is unknown is named."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from ml.spec import sqlite_file
from pipeline.config.settings import (
    COL_XR_CHECKLIST,
    INATURALIST_DATASET,
    Settings,
    SplitSettings,
    load_settings,
)
from pipeline.errors import ConfigurationError

MINE = "name: mine\ndata_root: data\n"


def read(folder: Path, text: str | bytes) -> Settings:
    """The configuration that a file of this content is."""
    file = folder / "scope.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_settings(file)


@pytest.mark.parametrize("scope", ["sample", "frozen", "nz-birds", "nz", "paper"])
def test_every_scope_of_the_project_loads(repository: Path, scope: str) -> None:
    settings = load_settings(repository / "conf" / f"{scope}.yaml")
    assert settings.name == scope
    assert settings.source.dataset_key == INATURALIST_DATASET
    assert settings.source.checklist_key == COL_XR_CHECKLIST


def test_the_sample_scope_is_the_default() -> None:
    assert load_settings().name == "sample"


def test_the_environment_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ndata_root: data/mine\n")
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(file))
    assert load_settings().name == "mine"


def test_the_environment_overrides_single_keys_and_leaves_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATUREWATCH__SOURCE__REPLICA__PHOTOS", "somewhere/photos.csv")
    monkeypatch.setenv("NATUREWATCH__SPLIT__SEED", "7")
    monkeypatch.setenv("NATUREWATCH__SOURCE__TAXON_KEYS", '["V2", "Q2M4"]')
    settings = load_settings()
    assert settings.source.replica.photos == Path("somewhere/photos.csv")
    assert settings.source.replica.release == 1
    assert settings.source.taxon_keys == ("V2", "Q2M4")
    assert settings.split.seed == 7
    assert settings.split.unit == "observation"


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("NATUREWATCH__SORUCE__MODE", "soruce"),
        ("NATUREWATCH__SOURCE__MODUS", "source.modus"),
        ("NATUREWATCH__SOURCE__REPLICA__PHOTO", "source.replica.photo"),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_the_key(
    monkeypatch: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigurationError, match=named):
        load_settings()


def test_an_unknown_key_in_the_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("name: wrong\ndata_root: data\nsplit: {min_image: 5}\n")
    with pytest.raises(ConfigurationError, match=r"split\.min_image"):
        load_settings(file)


@pytest.mark.parametrize("text", ["[1, 2]", "name: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"wrong\.yaml"):
        load_settings(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_settings(tmp_path / "absent.yaml")


def test_the_default_store_is_absolute_sqlite_below_the_data_root() -> None:
    settings = load_settings()
    assert settings.tracking_uri == f"sqlite:///{settings.paths.data_root}/mlflow.db"
    assert settings.paths.data_root.is_absolute()


def test_the_papers_mode_has_neither_caps_nor_rare_species(repository: Path) -> None:
    split = load_settings(repository / "conf" / "paper.yaml").split
    assert (split.photos_per_observation, split.photos_per_species, split.rare_species) == (None, None, "drop")
    assert split.unit == "photo"


@pytest.mark.parametrize("name", ["what?", "100%41", "a#b", "birds [2026]", "Tāmaki", "it's $ here"])
def test_the_default_store_lies_below_a_data_root_of_any_name(tmp_path: Path, name: str) -> None:
    settings = Settings(name="mine", data_root=tmp_path / name)
    assert make_url(settings.tracking_uri).database == f"{tmp_path / name}/mlflow.db"
    assert not make_url(settings.tracking_uri).query
    assert sqlite_file(settings.tracking_uri) == tmp_path / name / "mlflow.db"


def test_words_of_yaml_stay_text(tmp_path: Path) -> None:
    source = read(tmp_path, f"{MINE}source: {{country: NO, taxon_keys: [0123, 1e5, 12:30, ON, Y, 212]}}\n").source
    assert source.country == "NO"
    assert source.taxon_keys == ("0123", "1e5", "12:30", "ON", "Y", "212")
    empty = read(tmp_path, f"{MINE}source: {{country: , years: ~}}\nphotos: {{bytes_per_day: null}}\n")
    assert (empty.source.country, empty.source.years, empty.photos.bytes_per_day) == (None, None, None)
    assert read(tmp_path, f"{MINE}training: {{compile: yes, image_size: 128}}\n").training.compile is True


def test_null_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (
        "NATUREWATCH__SOURCE__COUNTRY",
        "NATUREWATCH__SOURCE__YEARS",
        "NATUREWATCH__PHOTOS__BYTES_PER_DAY",
    ):
        monkeypatch.setenv(variable, "null")
    settings = read(tmp_path, f"{MINE}source: {{country: NZ, years: [2001, 2002]}}\nphotos: {{bytes_per_day: 5}}\n")
    assert (settings.source.country, settings.source.years, settings.photos.bytes_per_day) == (None, None, None)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_how_a_file_is_encoded(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "name: Tāmaki\ndata_root: data\n".encode(encoding)).name == "Tāmaki"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: a\ndata_root: M\u00e9rida\n".encode("latin-1"), r"line 2 is not UTF-8 \(byte 0xe9\); save it as UTF-8"),
        (MINE.encode("utf-16-le"), "UTF-16 without its byte-order mark; save it as UTF-8"),
        (bytes(range(256)), "is not UTF-8"),
        (f"{MINE}name: b\n", "line 3: the key name is there already, in line 1"),
        (f"{MINE}split:\n  seed: 1\n  unit: photo\n  seed: 2\n", "line 6: the key seed is there already, in line 4"),
        (f"{MINE}---\n{MINE}", "expected a single document"),
        (f"{MINE}? [a]\n: b\n", "a key must be a word"),
        (f"{MINE}~: b\n", "a key must be a word"),
        (f"{MINE}x: !!python/object:os.system y\n", "could not determine a constructor"),
        (f"{MINE}_env_prefix: x\n", "unknown key _env_prefix"),
        (f"{MINE}photo: {{size: large}}\n", r"unknown key photo; did you mean photos\?"),
        (f"{MINE}photos: {{sise: large}}\n", r"unknown key photos\.sise; did you mean size\?"),
        (f"{MINE}photos:\n", "photos must be a section of keys, not empty"),
        ("data_root: data\n", "name is missing"),
        ("# nothing yet\n", "is empty"),
    ],
)
def test_a_file_that_says_something_else_than_it_seems_to_is_refused(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        read(tmp_path, content)
    assert "scope.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("source: {country: nz}", r"source\.country is 'nz': it must be an ISO country code"),
        ("source: {years: [2020, 2010]}", r"source\.years: the first year is after the last; write \[2010, 2020\]"),
        ("source: {years: []}", r"source\.years has too few values"),
        ("source: {taxon_keys: V2}", r"source\.taxon_keys is 'V2': it must be a list"),
        ("source: {taxon_keys: ['']}", r"source\.taxon_keys\.0 is '': it must be a key of the checklist"),
        ("source: {dataset_key: iNaturalist}", r"source\.dataset_key is 'iNaturalist': it must be a key of GBIF"),
        ("source: {checklist_key: CoL}", r"source\.checklist_key is 'CoL'"),
        ("source: {mode: zip}", r"source\.mode is 'zip': it must be 'replica', 'search'"),
        ("source: {mode: archive}", r"mode archive needs source\.archive"),
        ("source: {mode: archive, archive: 'ftp://a/b'}", "a path, or an http"),
        ("source: {mode: folder}", r"mode folder needs source\.folder"),
        ("source: {mode: folder, folder: a.csv, country: NZ}", "country cannot be applied to it"),
        ("source: {api_url: gbif}", r"source\.api_url is 'gbif': it must be a valid URL"),
        ("source: {licences: [GPL]}", r"source\.licences\.0 is 'GPL': it must be 'CC0_1_0'"),
        (
            "photos: {licences: [CC BY 4.0]}",
            r"photos\.licences\.0 is 'CC BY 4\.0': it must be open, all or one of the licences CC0",
        ),
        ("photos: {requests_per_second: inf}", r"photos\.requests_per_second is 'inf': it must be a finite number"),
        ("photos: {ask_again_days: 1e9}", r"photos\.ask_again_days"),
        ("photos: {hosts: {'https://a.b': {concurrency: 1}}}", "'https://a.b' is no host's name"),
        ("photos: {hosts: {a.b: {}, A.B: {}}}", "'A.B' is there twice"),
        ('photos: {contact: "a\\nb"}', r"photos\.contact .* one line"),
        ("taxonomy: {crosswalk: absent.csv}", r"taxonomy\.crosswalk is 'absent\.csv': there is no file /"),
        ("split: {validation: 0}", r"split\.validation is '0': it must be a share between 0 and 1"),
        ("split: {validation: 1}", r"split\.validation is '1'"),
        ("split: {min_images: 0}", r"split\.min_images is '0': it must be greater than or equal to 1"),
        ("split: {seed: -1}", r"split\.seed is '-1'"),
        ("training: {seed: 4294967296}", r"training\.seed"),
        ("training: {backbone: incepton_v4}", r"training\.backbone is 'incepton_v4': timm has no network of this name"),
        (
            "training: {backbone: 'hf-hub:bioclip-2'}",
            r"training\.backbone is .*: it must be a timm network, hf-hub:owner/",
        ),
        ("photos: {licences: all}", r"photos\.licences is 'all': it must be a list, as \[one, two\]"),
        ("photos: {licences: [all, CC0]}", "all stands for every licence; write"),
        ("training: {backbone: 'local-dir:/absent'}", r"training\.backbone is .*: /absent holds neither config\.json"),
        ("training: {weights: imagenet}", r"training\.weights is 'imagenet': it must be hub, package, none or a saf"),
        ("training: {weights: absent.safetensors}", r"training\.weights .* there is no file /"),
        (
            "training: {weights: package}",
            "those of tf_efficientnet_lite0 and tf_efficientnet_lite2, not of backbone inception",
        ),
        ("training: {recipe: absent.yaml}", r"training\.recipe is 'absent\.yaml': there is no file /"),
        ("training: {recipe: }", r"training\.recipe is empty: it must be paper, sample, frozen or a file"),
        ("training: {processes: 0}", r"training\.processes is '0'"),
        ("training: {batch_scale: 0.5}", r"training\.batch_scale is '0\.5'"),
        (
            "training: {recipe: sample, literal_schedule: true}",
            "literal_schedule is about the schedule that the paper prints, and recipe is sample: take recipe paper, or",
        ),
        ("training: {sync_batch_norm: true}", "sync_batch_norm has nothing to synchronise: processes is 1"),
        ("training: {image_size: 8}", r"training\.image_size is '8'"),
        ("training: {transfer_ranks: []}", "transfer_ranks must name ranks above species"),
        ("specificity: {target: 90}", r"specificity\.target is '90': it must be a share between 0 and 1, as 0\.9"),
        ("specificity: {watch_list: ['']}", r"specificity\.watch_list\.0 is '': it is empty"),
        ("registry: {model_name: birds/nz}", r"registry\.model_name is 'birds/nz': the registry's names hold no /"),
        ("registry: {model_name: 'birds:1'}", "hold no :"),
        ("registry: {model_name: ' '}", r"registry\.model_name is ' ': it is empty"),
        ("registry: {tracking_uri: mlruns}", r"registry\.tracking_uri is 'mlruns': it must be an address that begins"),
        ("registry: {tracking_uri: 'sqlite://'}", "SQLite needs a file"),
        ("registry: {mlflow_url: 'localhost:5000'}", r"registry\.mlflow_url is 'localhost:5000': it must be an http"),
        ("refresh: {cron: weekly}", r"refresh\.cron is 'weekly': it must be a cron schedule of five fields"),
    ],
)
def test_what_would_fail_late_is_refused_at_once_with_key_and_value(tmp_path: Path, section: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        read(tmp_path, f"{MINE}{section}\n")
    assert "\n" not in str(refused.value)


def test_a_backbone_may_be_a_repository_or_a_folder(tmp_path: Path) -> None:
    hub = read(tmp_path, f"{MINE}training: {{backbone: 'hf-hub:imageomics/bioclip-2'}}\n")
    assert hub.training.backbone == "hf-hub:imageomics/bioclip-2"
    (tmp_path / "open_clip_config.json").touch()
    folder = read(tmp_path, f"{MINE}training: {{backbone: 'local-dir:{tmp_path}'}}\n")
    assert folder.training.backbone == f"local-dir:{tmp_path}"


def test_a_recipe_file_is_read_before_it_is_needed(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("baselin: {name: x}\n")
    with pytest.raises(ConfigurationError, match=r"holds baselin; the networks are baseline, baseline_matched"):
        read(tmp_path, f"{MINE}training: {{recipe: {recipe}}}\n")
    recipe.write_text("baseline: {\n")
    with pytest.raises(ConfigurationError, match=r"training\.recipe .* cannot read"):
        read(tmp_path, f"{MINE}training: {{recipe: {recipe}}}\n")
    recipe.write_text("baseline: {name: x}\n")
    assert read(tmp_path, f"{MINE}training: {{recipe: {recipe}}}\n").training.recipe == recipe


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    for section in (
        "registry: {tracking_uri: 'ftp://me:hunter2@host/db'}",
        "registry: {tracking_uri: 'ftp://me:a/hunter2@b@host/db'}",
        "registry: {tracking_uri: 'ftp://host/db?password=hunter2'}",
        "source: {password: hunter2}",
        "source: [hunter2",
    ):
        with pytest.raises(ConfigurationError) as refused:
            read(tmp_path, f"{MINE}{section}\n")
        assert "hunter2" not in str(refused.value)
        assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("NATUREWATCH_DATA_ROOT", "x", "NATUREWATCH_DATA_ROOT; did you mean NATUREWATCH__DATA_ROOT"),
        ("NATUREWATCH_SPLIT_SEED", "1", "did you mean NATUREWATCH__SPLIT__SEED"),
        ("NATUREWATCH__photos__sise", "large", r"photos\.sise .* did you mean NATUREWATCH__PHOTOS__SIZE"),
        ("naturewatch__photos__sise", "large", r"photos\.sise"),
        ("naturewatch_config", "x.yaml", "did you mean NATUREWATCH_CONFIG"),
        ("NATUREWATCH__SEED", "1", "did you mean NATUREWATCH__SPLIT__SEED"),
        ("NATUREWATCH__SPLIT__SEED__X", "1", r"split\.seed\.x"),
        ("NATUREWATCH__SPLIT__", "1", "unknown key"),
        ("NATUREWATCH__SOURCE__TAXON_KEYS", "V2", "NATUREWATCH__SOURCE__TAXON_KEYS is no JSON"),
        ("NATUREWATCH__SOURCE", '{"mode":', "NATUREWATCH__SOURCE is no JSON"),
        ("NATUREWATCH__SPLIT", '{"seed": 1, "seed": 2}', "JSON of split in the environment holds the key seed twice"),
        ("NATUREWATCH__SOURCE", "null", "source must be a section of keys, not empty"),
        ("NATUREWATCH__SPLIT__SEED", "null", r"NATUREWATCH__SPLIT__SEED: split\.seed is empty"),
        ("NATUREWATCH__DATA_ROOT", "", "NATUREWATCH__DATA_ROOT: data_root is '': it is empty"),
        ("NATUREWATCH__SPECIFICITY", '{"target": 90}', "NATUREWATCH__SPECIFICITY: .* as 0.9"),
        ("NATUREWATCH__SPECIFICITY__TARGET", "90", "NATUREWATCH__SPECIFICITY__TARGET: .* as 0.9"),
    ],
)
def test_a_wrong_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=said):
        read(tmp_path, MINE)


def test_one_key_set_twice_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATUREWATCH__SPLIT__SEED", "1")
    monkeypatch.setenv("naturewatch__split__seed", "2")
    with pytest.raises(ConfigurationError, match="name the same key"):
        load_settings()


def test_what_kubernetes_says_of_a_service_is_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NATUREWATCH_SERVICE_HOST", "NATUREWATCH_SERVICE_PORT_HTTP", "NATUREWATCH_PORT_5000_TCP_ADDR"):
        monkeypatch.setenv(variable, "10.0.0.1")
    assert load_settings().name == "sample"


def test_a_cap_below_the_minimum_is_refused() -> None:
    with pytest.raises(ValueError, match="photos_per_species is 4, below min_images 5"):
        SplitSettings(photos_per_species=4)


def test_a_key_that_the_gate_replaced_says_what_to_set_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "scope.yaml"
    file.write_text("name: test\ndata_root: data\nregistry: {tolerance: 0.05}\n", encoding="utf-8")
    advice = r"unknown key registry\.tolerance.*; what a challenger may lose is in the section gate"
    with pytest.raises(ConfigurationError, match=advice):
        load_settings(file)
    file.write_text("name: test\ndata_root: data\n", encoding="utf-8")
    monkeypatch.setenv("NATUREWATCH__REGISTRY__TOLERANCE", "0.05")
    with pytest.raises(ConfigurationError, match=advice):
        load_settings(file)
