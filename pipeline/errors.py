"""The errors of the pipeline. Each says what happened, to what, and what to do about it."""

from collections.abc import Sequence


class NatureWatchError(Exception):
    """Base of every error that a person can act upon; its message is one readable line."""


class ConfigurationError(NatureWatchError):
    """A configuration file or an environment override is wrong."""


class NotReadyError(NatureWatchError):
    """A run lacks what it needs from its surroundings: files, an account, room on the disk, a server.

    Attributes:
        problems: Each in one sentence.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class RunError(NatureWatchError):
    """A run ended although none of its steps had failed."""


class GbifError(NatureWatchError):
    """GBIF refused a request, or answered with something that cannot be used."""


class ArchiveError(NatureWatchError):
    """A Darwin Core Archive is damaged, unsafe, or lacks what the pipeline needs."""


class FolderError(NatureWatchError):
    """A table of one's own photographs cannot be used."""


class IncompleteFetchError(NatureWatchError):
    """Too many photographs could not be fetched, for reasons that pass, to make a dataset of the rest."""


class NoticeError(NatureWatchError):
    """People could not be told of something by chat or mail."""


class LossesError(NatureWatchError):
    """A dataset would lose more against the last one than may be lost without a person's consent."""


class StorageError(NatureWatchError):
    """A file cannot be read or written: the disk is full, or a folder is closed to this account."""


class TableError(NatureWatchError):
    """A table is missing or does not keep its contract."""


class ChildError(NatureWatchError):
    """A child process (training, calibration, registration, the replica) ended without its result."""


class LockedError(NatureWatchError):
    """Another process is already writing the same files."""


class PoolError(NatureWatchError):
    """Another run holds the slot of a Dagster pool that a step waits for."""


class RegistryError(NatureWatchError):
    """A registered model version lacks what the gate needs to judge it."""


class TrackingError(NatureWatchError):
    """MLflow's store cannot be opened or made."""


class RetentionError(NatureWatchError):
    """Something became needed while others like it were removed."""


class ListError(NatureWatchError):
    """The list of a place is asked for a place, a month or a taxon that there is not."""
