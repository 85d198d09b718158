"""The page's endpoint over HTTP."""

from ml.serving.identification import Identification
from ml.serving.question import Question
from tests.ml.page.page_server import Running
from tests.ml.specificity_fixtures import photograph_bytes


def test_photographs_are_answered_in_order_as_the_command_answers_them(page: Running) -> None:
    photographs = [photograph_bytes(), b"no photograph", photograph_bytes(mode="L", form="PNG")]
    files = [("images", (f"{number}.jpg", content)) for number, content in enumerate(photographs)]
    answered = page.client.post("/api/identify", files=files, data={"question": '{"threshold": 0.2}'})
    assert answered.status_code == 200
    model = Identification.load(
        uri=page.settings.tracking_uri, name=page.settings.model_name, alias=page.settings.alias
    )
    entries = [(f"{number}.jpg", content) for number, content in enumerate(photographs)]
    expected = [
        {"photo": name, "error": str(answer)} if isinstance(answer, Exception) else answer
        for name, answer in model.answers(entries, Question(threshold=0.2))
    ]
    assert answered.json()["answers"] == expected
    assert answered.json()["model"] == {"name": "tiny", "version": "1"}
