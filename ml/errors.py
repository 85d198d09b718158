"""The errors of `ml`. Each says what happened, to what, and what to do about it."""


class MlError(Exception):
    """Base of every error that a person can act upon; its message is one readable line."""


class NetworkError(MlError):
    """A network cannot be built from its description."""


class WarmStartError(MlError):
    """A trained network cannot be gone on from: it is another network, or its class map is one of other trees."""


class WeightsError(MlError):
    """Pretrained or trained weights are missing, damaged, or belong to another network."""


class RecipeError(MlError):
    """A recipe is unknown, or its file does not describe one."""


class DataError(MlError):
    """The photographs' pack, the split or the taxonomy is missing or does not keep its contract."""


class PhotoError(MlError):
    """One photograph cannot be decoded."""


class LoaderError(MlError):
    """The processes that decode photographs cannot go on: one was killed, or shared memory is too small."""


class CheckpointError(MlError):
    """A checkpoint cannot be read, or belongs to another specification."""


class TrainingError(MlError):
    """Training cannot go on: the loss is not finite, GPUs are missing, or another process trains into its folder."""


class TrackingError(MlError):
    """MLflow holds something else under the name of this run."""


class InterruptedTrainingError(MlError):
    """The process was asked to end; what was computed is in the checkpoint."""
