"""The served model, as MLflow loads it: photographs in, the deepest taxon that is probable enough out.

Logged as models-from-code, with the modules of `ml` that it imports beside it. The registry decides which version is
served.

A photograph that cannot be read fails the request, by its position and with the reason: an answer list with holes
would let a caller mistake a failure for an answer. Ask again without it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types.type_hints import TypeFromExample

from ml.errors import MlError, PhotoError
from ml.serving import invocations
from ml.serving.answering import Answering
from ml.serving.classifier import BATCH, Classifier, Views
from ml.serving.exif_sighting import exif_sighting
from ml.serving.inputs import RequestError, content_of, photographs_of
from ml.serving.question import Question
from ml.serving.sighting import Sighting, sites_of


class Identifier(PythonModel):
    """Answers with a taxon, a probability for each rank, what is promised of it, and the most probable species."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the artifacts: the network with its weights, and all that `Answering.read` reads."""
        self.paths = bool((context.model_config or {}).get("paths", True))
        self.answering = Answering.read(context.artifacts)
        self.classifier = Classifier(context.artifacts)
        invocations.hand_over_unchanged()

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow's signature)
        model_input: TypeFromExample,  # MLflow hands a list
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Identify photographs.

        Args:
            context: MLflow's; unused.
            model_input: Photographs as bytes or base64 text (a `data:` address, too), in a list or in a table with the
                column `image`. Callers in this process may give paths of files as well, unless the model was loaded
                with `model_config={"paths": False}`; requests to MLflow's server never (`ml.serving.invocations`).
            params: The fields of `ml.serving.question.Question`: `threshold` in [0, 1], or `target`, an accuracy that
                the version's table turns into thresholds (default: the target that it was calibrated for); `within`,
                names or keys of taxa that contain the photographs; `renormalise`, whether that conditions
                the probabilities (default) or only rules out the others (the paper's literal reading); `top`, how many
                species to list (default 5); `region`, left, upper, right and lower edge of the region of interest as
                fractions of every photograph; `embedding`, whether to answer with the pooled features, too; `watch`,
                names or keys of taxa to keep an eye on beside the version's own, each with `=PROBABILITY` or without;
                `place`, latitude and longitude in degrees where the photographs were taken, `uncertainty_m`, the radius
                around it in metres, and `date`, a day such as `2024-05-17`: versions with a prior of place and season
                compose it with what they see; `exif`, whether place and date of each photograph's own EXIF count where
                the request says none (without it, its place is not even read).

        Returns:
            One dictionary per photograph; see `ml.serving.answering.Answering.answers`.

        Raises:
            MlflowException: a photograph or a parameter cannot be used; says which and why.
        """
        return self.identify(model_input, params, paths=self.paths)

    def identify(self, data: object, params: object, *, paths: bool) -> list[dict[str, Any]]:
        """What `predict` does, for a request as it was sent; `paths`: whether files of this machine may be read."""
        try:
            question = Question.of(params)
            plan = self.answering.plan(question)
            answers: list[dict[str, Any]] = []
            for batch in self._batches(photographs_of(data), question, paths=paths):
                sites = sites_of([sighting for _, sighting in batch])
                looks = self.classifier.look([views for views, _ in batch])
                answers.extend(self.answering.answers(looks, plan, sites))
        except (MlError, ValueError) as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        return answers

    def _batches(
        self, items: Sequence[object], question: Question, *, paths: bool
    ) -> Iterator[list[tuple[Views, Sighting]]]:
        """Decode as many photographs as go through the network at once.

        Of each is kept what the network sees, and where and when it was taken.
        """
        for begin in range(0, len(items), BATCH):
            batch = []
            for position, item in enumerate(items[begin : begin + BATCH], start=begin):
                try:
                    content = content_of(item, paths=paths)
                    known = question.sighting
                    if question.exif:
                        known = known.or_else(exif_sighting(content))
                    batch.append((self.classifier.views(content, region=question.region), known))
                except PhotoError as error:
                    named = f" ({item})" if paths and isinstance(item, str) and len(item) < 200 else ""
                    raise RequestError(f"photograph {position}{named}: {error}") from error
            yield batch


set_model(Identifier())
