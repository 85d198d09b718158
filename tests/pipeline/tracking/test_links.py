"""Addresses for people: which page, in the view of trainings, on the server that shows it."""

from collections.abc import Callable

import pytest

from pipeline.config.settings import Settings
from pipeline.tracking.links import artifact_page, artifact_url, experiment_url, run_url, version_url
from pipeline.tracking.runs import client, experiment_id

pytestmark = pytest.mark.usefixtures("with_store")


def test_every_page_opens_the_view_of_trainings(settings: Settings) -> None:
    number = experiment_id(settings, client(settings))
    runs = f"http://127.0.0.1:5000/#/experiments/{number}/runs"
    view = "?workflowType=machine_learning"
    assert experiment_url(settings) == f"{runs}{view}"
    assert run_url(settings, "r1") == f"{runs}/r1{view}"
    assert (
        artifact_page(settings, "r1", "dataset/our index.html") == f"{runs}/r1/artifacts/dataset/our%20index.html{view}"
    )
    assert version_url(settings, "3") == f"http://127.0.0.1:5000/#/models/naturewatch/versions/3{view}"


def test_the_bytes_of_a_file_have_an_address_of_their_own(settings: Settings) -> None:
    address = artifact_url(settings, "r1", "figures/a&b.png")
    assert address == "http://127.0.0.1:5000/get-artifact?path=figures%2Fa%26b.png&run_uuid=r1"


def test_a_remote_server_is_linked_to_without_its_password(make_settings: Callable[..., Settings]) -> None:
    remote = make_settings(registry={"tracking_uri": "https://kea:secret@mlflow.example.org/team/"})
    assert artifact_url(remote, "r1", "a.png") == "https://mlflow.example.org/team/get-artifact?path=a.png&run_uuid=r1"
    assert version_url(remote, "1").startswith("https://mlflow.example.org/team/#/models/")


def test_a_configured_address_of_the_ui_is_preferred(make_settings: Callable[..., Settings]) -> None:
    behind = make_settings(registry={"tracking_uri": "http://10.0.0.7:5000", "mlflow_url": "https://ml.example.org/"})
    assert artifact_url(behind, "r1", "a.png").startswith("https://ml.example.org/get-artifact?")
