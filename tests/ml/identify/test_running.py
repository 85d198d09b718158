"""A page that runs on this machine is asked instead of loading the network; none is lost where it fails."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ml.errors import PhotoError
from ml.identify import running
from ml.identify.command import main
from ml.identify.running import RunningServer
from ml.serving.identification import BATCH, Entry
from ml.serving.question import Question
from ml.serving.versions import ModelError
from tests.ml.identify.page_stand_in import StandIn, stand_in
from tests.ml.page.page_server import released, serving
from tests.ml.specificity_fixtures import photograph_bytes, release

QUESTION = Question(target=0.8, within=("Aves",), top=3)
Answered = tuple[str, Any]


@pytest.fixture
def page() -> Iterator[StandIn]:
    """A page that says that it answers with the tiny registered version."""
    spec, result = release()
    with stand_in(registry=spec.tracking.uri, name=spec.model_name, version=result.version) as server:
        yield server


def found(
    record: Path, *, uri: str | None = None, name: str = "tiny", alias: str = "challenger"
) -> RunningServer | None:
    return RunningServer.find(record, uri=uri or release()[0].tracking.uri, name=name, alias=alias)


def entries(count: int) -> list[Entry]:
    """Photographs, every fifth of which cannot be read, every seventh of which cannot be decoded."""
    return [
        (
            f"{n}.jpg",
            PhotoError(f"{n} is a folder") if n % 5 == 4 else f"{'broken' if n % 7 == 6 else 'photo'} {n}".encode(),
        )
        for n in range(count)
    ]


def here(rest: Iterable[Entry]) -> Iterator[Answered]:
    """Answers as a network of this process would, and can be told from the page's."""
    for name, content in rest:
        yield name, content if isinstance(content, PhotoError) else {"photo": name, "here": content.decode()}


def refuse(rest: Iterable[Entry]) -> Iterator[Answered]:
    assert not list(rest), "the network was loaded"
    yield from ()


def test_photographs_go_in_batches_and_come_back_in_order_under_their_own_names(page: StandIn, tmp_path: Path) -> None:
    server = found(page.record(tmp_path))
    assert server is not None
    asked = entries(2 * BATCH + 3)
    answers = list(server.answers(iter(asked), QUESTION, otherwise=refuse))
    assert [name for name, _ in answers] == [name for name, _ in asked]
    for (name, content), (_, answer) in zip(asked, answers, strict=True):
        if isinstance(content, PhotoError):
            assert answer is content
        elif isinstance(answer, PhotoError):
            assert content.startswith(b"broken")
            assert str(answer) == f"{content.decode()} cannot be decoded"
        else:
            assert (answer["photo"], answer["taxon"]) == (name, f"taxon of {content.decode()}")
    assert len(page.requests) == 3
    assert all(len(request["images"]) <= BATCH for request in page.requests)
    assert Question.of(json.loads(page.requests[0]["question"])) == QUESTION
    assert not any("jpg" in name for request in page.requests for name in request["names"]), "names of files stay here"


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("busy", "is busy"),
        ("dies", "has ended"),
        ("other version", "has turned to another version"),
        ("refuses", r"refuses \(status 413\)"),
        ("redirects", "answered something else than was asked"),
        ("no JSON", "answered something else than was asked"),
        ("too few", "answered something else than was asked"),
    ],
)
def test_what_a_page_in_trouble_leaves_is_answered_here_none_lost_and_none_twice(
    page: StandIn, tmp_path: Path, capfd: pytest.CaptureFixture[str], trouble: str, reason: str, after: int
) -> None:
    server = found(page.record(tmp_path))
    assert server is not None
    page.trouble, page.after = trouble, after
    asked = entries(2 * BATCH + 3)
    answers = list(server.answers(iter(asked), QUESTION, otherwise=here))
    assert [name for name, _ in answers] == [name for name, _ in asked]
    there = [name for name, answer in answers if isinstance(answer, dict) and "taxon" in answer]
    assert all(int(name.removesuffix(".jpg")) < after * BATCH for name in there)
    assert bool(there) == bool(after)
    assert len(page.requests) == after + 1
    said = capfd.readouterr().err
    assert pytest.RaisesExc(
        ValueError, match=f"the server at {page.address} ({reason}): loading the model here"
    ).matches(ValueError(said)), said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "http://192.0.2.1:7860"},
        {"address": "http://example.org:7860"},
        {"address": "https://127.0.0.1:7860"},
        {"address": "http://127.0.0.1.example.org:7860"},
        {"address": "http://127.0.0.1@192.0.2.1:7860"},
        {"address": "http://[::1"},
        {"address": None},
        {"pid": 2**22 + 1},
        {"pid": 10**30},
        {"pid": -1},
        {"pid": True},
        {"registry": "sqlite:////elsewhere/mlflow.db"},
        {"model_name": "other"},
    ],
)
def test_a_record_of_anything_else_is_not_asked(page: StandIn, tmp_path: Path, changes: dict[str, object]) -> None:
    assert found(page.record(tmp_path, **changes)) is None
    assert not page.headers


def test_no_record_or_a_damaged_one_is_no_page(tmp_path: Path) -> None:
    assert found(tmp_path / "page.json") is None
    for content in (b"", b"[]", b"{", b"\xff\xfe", b"null"):
        (tmp_path / "page.json").write_bytes(content)
        assert found(tmp_path / "page.json") is None


def test_a_page_with_another_version_or_registry_or_none_is_not_asked(page: StandIn, tmp_path: Path) -> None:
    record = page.record(tmp_path)
    page.model["version"] = "2"
    assert found(record) is None
    page.model["version"] = "1"
    page.registry = "sqlite:////elsewhere/mlflow.db"
    assert found(record) is None
    page.model = None  # type: ignore[assignment]
    assert found(record) is None
    assert found(page_that_ended(record)) is None


def page_that_ended(record: Path) -> Path:
    """Its process lives, or another one with its number, but nobody answers at the address."""
    spec, result = release()
    with stand_in(registry=spec.tracking.uri, name=spec.model_name, version=result.version) as ended:
        pass
    return ended.record(record.parent)


def test_the_version_may_be_asked_for_by_its_number_and_must_exist(page: StandIn, tmp_path: Path) -> None:
    server = found(page.record(tmp_path), alias="1")
    assert server is not None
    assert server.version.number == "1"
    with pytest.raises(ModelError, match="has no version called 'champion'"):
        found(page.record(tmp_path), alias="champion")


def test_a_proxy_of_the_environment_gets_nothing(
    page: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://192.0.2.1:1")
    server = found(page.record(tmp_path))
    assert server is not None
    assert len(list(server.answers(entries(3), QUESTION, otherwise=refuse))) == 3


def test_large_photographs_fill_a_batch_sooner(page: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BATCH_BYTES", 16)
    server = found(page.record(tmp_path))
    assert server is not None
    asked: list[Entry] = [(str(n), f"photo {n}".encode()) for n in range(6)]
    assert [name for name, _ in server.answers(asked, QUESTION, otherwise=refuse)] == [name for name, _ in asked]
    assert [len(request["images"]) for request in page.requests] == [3, 3]


def test_the_command_gets_the_same_answers_from_a_page_as_from_the_network_and_loads_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec, _ = release()
    (tmp_path / "a.jpg").write_bytes(photograph_bytes())
    (tmp_path / "b.png").write_bytes(photograph_bytes(form="PNG", size=(80, 120)))
    (tmp_path / "c.jpg").write_bytes(photograph_bytes()[:200])
    options = ["--tracking-uri", spec.tracking.uri, "--model-name", "tiny", "--alias", "challenger", "--json"]
    photographs = [str(tmp_path / name) for name in ("a.jpg", "b.png", "c.jpg")]
    with serving(released()) as server:
        record = StandIn(spec.tracking.uri, {"name": "tiny"}, server.address).record(tmp_path)
        by_page = command(*options, "--running", str(record), *photographs)
        refused = command(*options, "--running", str(record), "--within", "Dodo", photographs[0])
    assert by_page.returncode == 1
    *said, modules = by_page.stderr.splitlines()
    assert len(said) == 2, "one photograph has no answer"
    assert modules == "[]"
    assert refused.returncode == 1
    assert "'Dodo'" in refused.stderr, "what the page refuses, this process finds wrong as well"
    capfd.readouterr()
    assert main([*options, *photographs]) == 1
    assert json.loads(by_page.stdout) == json.loads(capfd.readouterr().out)


LOADED = """
import sys
from ml.identify.command import main
status = main(sys.argv[1:])
print(sorted({"torch", "timm", "pyarrow", "mlflow"} & set(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=False)
