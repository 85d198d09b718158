"""One request is answered at a time, the others wait in order: one model in memory, and bounded work beside it.

The event loop never computes: photographs are decoded in a few threads, the network runs in one of its own.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, Final, ParamSpec, TypeVar

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from ml.page.page_settings import Limits
from ml.page.served_model import Answer, ServedModel
from ml.page.traffic import Traffic
from ml.serving.answering import Plan
from ml.serving.batch import Seen
from ml.serving.identification import BATCH
from ml.serving.question import Question

RETRY_SECONDS: Final = 3
"""After which a client that found no place may ask again."""
ORGANISM: Final = "organism"
"""What an answer about several photographs calls them."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class AnswerQueue:
    """The places of requests, and the threads that work for them."""

    def __init__(self, limits: Limits, *, traffic: Traffic) -> None:
        """Nothing runs before the first request."""
        self._limits, self._traffic = limits, traffic
        self._turn = asyncio.Lock()
        self._taken = 0
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._decoders = ThreadPoolExecutor(limits.decoders, thread_name_prefix="decoder")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keep a place from before the photographs are received until they are answered.

        Raises:
            HTTPException: all places are taken (429).
        """
        if self._taken >= self._limits.places:
            raise HTTPException(
                429, f"{self._taken} requests are being answered: ask again in a moment",
                headers={"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
            )  # fmt: skip
        self._taken += 1
        self._traffic.waiting.set(self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            self._traffic.waiting.set(self._taken)

    async def in_decoder(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a function in one of the threads that decode."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, lambda: function(*args, **kwargs))

    async def answers(
        self, model: ServedModel, photographs: Sequence[UploadFile], question: Question, plan: Plan, *,
        together: bool = False,
    ) -> list[Answer]:  # fmt: skip
        """An answer or an error for each photograph, in order; or one about the organism that all of them show.

        Raises:
            HTTPException: it took too long (503).
        """
        organism = ORGANISM if together else None
        answers: list[Answer] = []
        joined = model.batch()

        def answer(seen: Sequence[Seen], *, last: bool) -> list[Answer]:
            batch = joined if together else model.batch()
            for photo in seen:
                batch.add(photo)
            return [] if together and not last else model.answers(batch, plan)

        async with self._my_turn(), aclosing(self._decoded(model, photographs, question, organism)) as decoded:
            async for seen, last in decoded:
                answers += await self._in_network(answer, seen, last=last)
        self._count(answers)
        return answers

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.answer_seconds), self._turn:
                yield
        except TimeoutError as error:
            reason = f"there is no answer after {self._limits.answer_seconds:g} seconds"
            raise HTTPException(503, reason, headers={"Retry-After": str(RETRY_SECONDS)}) from error

    async def _decoded(
        self, model: ServedModel, photographs: Sequence[UploadFile], question: Question, organism: str | None
    ) -> AsyncGenerator[tuple[list[Seen], bool]]:
        """Per batch what will be answered of each, and whether it is the last; the next is decoded meanwhile."""
        batches = [photographs[begin : begin + BATCH] for begin in range(0, len(photographs), BATCH)]
        upcoming = [self._decoding(model, batch, question, organism) for batch in batches[:1]]
        try:
            for number in range(1, len(batches) + 1):
                decoded = await upcoming.pop()
                upcoming += [self._decoding(model, after, question, organism) for after in batches[number : number + 1]]
                yield decoded, number == len(batches)
        finally:
            for decoding in upcoming:
                decoding.cancel()

    def _decoding(
        self, model: ServedModel, batch: Sequence[UploadFile], question: Question, organism: str | None
    ) -> "asyncio.Future[list[Seen]]":
        def decode(photo: UploadFile) -> Seen:
            photo.file.seek(0)
            return model.decode(name_of(photo), photo.file.read(), question, organism=organism)

        return asyncio.gather(*(self.in_decoder(decode, photo) for photo in batch))

    async def _in_network(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        def timed() -> Result:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._traffic.network_seconds.observe(time.perf_counter() - begin)

        return await asyncio.get_running_loop().run_in_executor(self._network, timed)

    def _count(self, answers: Sequence[Answer]) -> None:
        errors = sum("error" in answer for answer in answers)
        self._traffic.photographs.labels("error").inc(errors)
        self._traffic.photographs.labels("answered").inc(len(answers) - errors)

    def close(self) -> None:
        """Take no more work; what has begun ends by itself."""
        for threads in (self._network, self._decoders):
            threads.shutdown(wait=False, cancel_futures=True)


def name_of(photo: UploadFile) -> str:
    """What a photograph is called in its answer."""
    return photo.filename or "photograph"


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Do work for a client whose request was read; where the client goes away, stop.

    Raises:
        ClientDisconnect: it went away.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task, gone})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
