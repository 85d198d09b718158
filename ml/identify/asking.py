"""Who answers the command: a page that runs on this machine already, or a network that is loaded."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ml.identify.arguments import model_of
from ml.identify.photo_reading import Member, Reader, by_network

if TYPE_CHECKING:
    from ml.serving.batch import Named
    from ml.serving.question import Question
    from ml.serving.versions import Version

Ask = Callable[[Iterator[Member]], "Iterator[list[Named]]"]
"""Answers about photographs, in order, some at a time."""


def asked_of_network(
    options: argparse.Namespace, *, reader: Reader, question: "Question", version: "Version | None" = None
) -> Ask:
    """What asks the network of a version, which this process loads when it is first asked.

    Args:
        options: Of the command.
        reader: Reads photographs.
        question: What is asked about each.
        version: The version; None: it is looked up then.
    """
    from ml.serving.identification import Identification, find  # noqa: PLC0415

    def load() -> Identification:
        model = model_of(options)
        names = None
        if options.names is not None:
            from ml.serving.common_names import CommonNames  # noqa: PLC0415 (only where there are some)

            names = CommonNames.read(options.names, language=options.language)
        found = version or find(uri=options.tracking_uri, name=model.name, alias=model.alias)
        return Identification.of_version(found, uri=options.tracking_uri, question=question, names=names)

    return lambda members: by_network(members, reader=reader, question=question, load=load)


def asked_of_page_or_network(options: argparse.Namespace, *, reader: Reader, question: "Question") -> Ask:
    """What asks a page that runs on this machine (`--running`), or else the network. None is grouped."""
    network = asked_of_network(options, reader=reader, question=question)

    def ask(members: Iterator[Member]) -> "Iterator[list[Named]]":
        from ml.identify.running import RunningServer  # noqa: PLC0415
        from ml.serving.ahead import ahead  # noqa: PLC0415
        from ml.serving.identification import Entry, Identification  # noqa: PLC0415

        model = model_of(options)
        uri = options.tracking_uri
        server = RunningServer.find(options.running, uri=uri, name=model.name, alias=model.alias)
        if server is None:
            yield from network(members)
            return
        version = server.version

        def here(rest: Iterable[Entry]) -> "Iterator[Named]":
            return Identification.of_version(version, uri=uri, question=question).answers(rest, question)

        entries = ahead(lambda member: (member[0].name, reader.content(member[0])), members, most=8)
        for found in server.answers(entries, question, otherwise=here):
            yield [found]

    return ask
