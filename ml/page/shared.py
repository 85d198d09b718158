"""What the routes of one server share."""

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from ml.page.answer_queue import AnswerQueue
from ml.page.following import Follower
from ml.page.page_settings import PageSettings
from ml.page.photo_examples import PhotoExamples
from ml.page.traffic import Traffic


@dataclass(frozen=True, eq=False, kw_only=True)
class Shared:
    """Of one server."""

    settings: PageSettings
    follower: Follower
    queue: AnswerQueue
    examples: PhotoExamples
    traffic: Traffic


def shared(request: Request) -> Shared:
    """What the server of a request shares, as a dependency."""
    return cast("Shared", request.app.state.shared)
