"""Several photographs of one organism, answered as one."""

from typing import Any

from ml.serving.answering import Answering, Looks, Plan


def answer_together(answering: Answering, looks: Looks, plan: Plan) -> dict[str, Any]:
    """One answer about an organism, from all photographs of it.

    Args:
        answering: The model version.
        looks: What its network makes of M >= 1 photographs of one organism.
        plan: What is asked.

    Returns:
        An answer as `Answering.answers` gives it of one photograph; the caller adds `photo`, the organism's name, and
        `photos`. Where nothing is promised about so many photographs, `warnings` has an entry of the kind `joint`.
    """
    if len(looks.probabilities) == 1:
        return answering.answers(looks, plan)[0]
    pooled = Looks(looks.probabilities.mean(axis=0, keepdims=True), looks.embeddings.mean(axis=0, keepdims=True))
    (answer,) = answering.answers(pooled, plan)
    text = (
        "this version was not calibrated for several photographs of one organism: their probabilities are averaged, "
        "and nothing is promised"
    )
    return {**answer, "warnings": [*answer.get("warnings", []), {"kind": "joint", "text": text}]}
