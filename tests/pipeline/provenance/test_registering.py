"""A dataset version is registered with GBIF once, with credentials that nobody else sees; proved on the replica."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from demo.gbif.facets import DATASET_KEY
from pipeline.commands import cli
from pipeline.config.settings import Settings
from pipeline.dataset.registration import Registration
from pipeline.errors import GbifError
from pipeline.gbif.client import Api, BusyError, Credentials
from pipeline.launching.replica import Replica, running_replica
from pipeline.provenance.croissant import write_croissant
from pipeline.provenance.kept import Kept
from pipeline.provenance.registering import PATH, account, prepare, register
from pipeline.tracking.runs import client
from pipeline.tracking.tags import DERIVED_DOI
from tests.pipeline.provenance.described import CITATION, DOI, GBIF, VERSION, dataset
from tests.pipeline.provenance.registered import register as registered
from tests.pipeline.provenance.registered import scope_file

SOURCE = "https://zenodo.org/records/1"
OPTIONS = ["--title", "Birds of the sample", "--source-url", SOURCE]


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 (a generator)
    settings = Settings(name="replica", data_root=tmp_path_factory.mktemp("replica"))
    with running_replica(settings) as running:
        yield running


@pytest.fixture
def api(replica: Replica) -> Api:
    return Api(replica.api_url, credentials=Credentials(user="replica", password="replica", email=""))


def request(settings: Settings, **source: Any) -> Any:  # noqa: ANN401
    dataset(settings, **(source or {key: value for key, value in GBIF.items() if key not in {"doi", "citation"}}))
    return prepare(settings, Kept.of(settings.paths, VERSION), title="Birds", source_url=SOURCE)


def by_download(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"source": {"mode": "download"}, **more}


def test_the_request_credits_each_source_and_names_the_download(make_settings: Any) -> None:  # noqa: ANN401
    made = request(make_settings(**by_download()), **GBIF)
    assert made.body["relatedDatasets"] == {DATASET_KEY: 5}, "the records that training uses, by genus too"
    assert (made.body["originalDownloadDOI"], made.body["sourceUrl"], made.body["title"]) == (DOI, SOURCE, "Birds")
    assert made.body["description"].endswith(f"NatureWatch dataset version {VERSION}.")
    assert "registrationDate" not in made.body


def test_the_replica_gives_a_doi_once_however_often_it_is_asked(make_settings: Any, api: Api) -> None:  # noqa: ANN401
    made = request(make_settings(**by_download()))
    first, new = register(api, made)
    assert new
    assert first.doi.startswith("10.21373/dd.")
    again, new = register(api, made)
    assert not new, "it is found among the derived datasets of the account"
    assert (again.doi, again.citation) == (first.doi, first.citation)


@pytest.mark.parametrize(
    ("user", "changes", "said"),
    [
        ("replica", {"originalDownloadDOI": "10.15468/dl.none"}, "400: Invalid original download DOI"),
        ("replica", {"relatedDatasets": {"nothing": 1}}, "400: Invalid related datasets identifiers"),
        ("somebody", {}, "401: Failed to authenticate user somebody; check GBIF_USER and GBIF_PASSWORD"),
    ],
)
def test_what_gbif_refuses_is_told_without_the_password(
    make_settings: Any, replica: Replica, user: str, changes: dict[str, Any], said: str  # noqa: ANN401
) -> None:  # fmt: skip
    password = "replica" if user == "replica" else "hush hush"
    asking = Api(replica.api_url, credentials=Credentials(user=user, password=password, email=""))
    found = request(make_settings(**by_download()))
    made = dataclasses.replace(found, dataset_version="f" * 16, body={**found.body, **changes})
    with pytest.raises(GbifError, match=said) as error:
        register(asking, made)
    assert "hush" not in str(error.value)


def test_a_lost_answer_is_no_second_registration(
    make_settings: Any, api: Api, monkeypatch: pytest.MonkeyPatch  # noqa: ANN401
) -> None:  # fmt: skip
    dataset(settings := make_settings(**by_download()), version="a" * 16, mode="search", key="s", origin="a search")
    made = prepare(settings, Kept.of(settings.paths, "a" * 16), title="Birds", source_url=SOURCE)
    send = api.post_json

    def lost(path: str, body: Any) -> str:  # noqa: ANN401
        send(path, body)
        raise BusyError(f"{api.url}{PATH} did not answer")

    monkeypatch.setattr(api, "post_json", lost)
    with pytest.raises(GbifError, match="run the same command again, which looks for it first"):
        register(api, made)
    found, new = register(api, made)
    assert (found.doi[:12], new) == ("10.21373/dd.", False)


@pytest.mark.parametrize(
    ("mode", "source", "said"),
    [
        ("folder", {"mode": "folder", "key": "folder-1", "origin": "own photographs"}, "holds own photographs"),
        ("replica", GBIF, "not of the replica; source.mode is replica"),
        ("download", {**GBIF, "doi": "10.21373/dl.x"}, "of the replica, and its DOI is made up"),
    ],
)
def test_what_is_not_gbifs_is_not_registered(
    make_settings: Any, tmp_path: Path, mode: str, source: dict[str, Any], said: str  # noqa: ANN401
) -> None:  # fmt: skip
    table = tmp_path / "own.csv"
    table.touch()
    settings = make_settings(source={"mode": mode, **({"folder": table} if mode == "folder" else {})})
    with pytest.raises(GbifError, match=said):
        request(settings, **source)


def test_credentials_come_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBIF_USER", "kea")
    with pytest.raises(GbifError, match="takes GBIF_PASSWORD in the environment"):
        account()
    monkeypatch.setenv("GBIF_PASSWORD", "hush")
    assert (account().user, account().password) == ("kea", "hush")
    assert "hush" not in repr(account())


@pytest.mark.usefixtures("with_store")
def test_the_command_registers_a_models_dataset_and_every_version_of_it_gets_the_doi(
    make_settings: Any, replica: Replica, tmp_path: Path, capsys: pytest.CaptureFixture[str],  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings: Settings = make_settings(source={"mode": "download", "api_url": replica.api_url})
    version = "b" * 16
    manifest = dataset(settings, version=version, mode="search", key="s", origin="a search of GBIF")
    write_croissant(settings.paths, settings, manifest)
    for _ in range(2):
        registered(settings, manifest)
    command = ["derived-dataset", "2", *OPTIONS, "--config", str(scope_file(settings, tmp_path))]
    assert cli.main([*command, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["relatedDatasets"] == {DATASET_KEY: 5}
    assert cli.main(command) == 1
    assert "takes GBIF_USER and GBIF_PASSWORD in the environment" in capsys.readouterr().err
    monkeypatch.setenv("GBIF_USER", "replica")
    monkeypatch.setenv("GBIF_PASSWORD", "replica")
    assert cli.main(command) == 0
    kept = Registration.find(settings.paths, version)
    assert kept is not None
    assert f"DOI        {kept.doi}" in capsys.readouterr().out
    tags = [client(settings).get_model_version("naturewatch", number).tags[DERIVED_DOI] for number in ("1", "2")]
    assert tags == [kept.doi, kept.doi]
    monkeypatch.delenv("GBIF_PASSWORD")
    assert cli.main([*command[:1], version, *command[2:]]) == 0, "what is remembered needs no account"
    told = capsys.readouterr().out
    assert "is registered already" in told
    assert kept.doi in told
    assert CITATION not in told
