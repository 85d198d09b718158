"""The head fitted on frozen features: the optimum that scikit-learn finds, pulled to what a former stage has learnt."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from ml.training.head_fit import solve

CLASSES = 5


@pytest.fixture
def features() -> Tensor:
    """Of very different scales and offsets, as those of a network are."""
    drawn = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    return drawn * torch.logspace(-2, 2, 8) + torch.arange(8)


@pytest.fixture
def labels(features: Tensor) -> Tensor:
    noise = torch.randn(200, CLASSES, generator=torch.Generator().manual_seed(2))
    standardised = (features - features.mean(0)) / features.std(0)
    return (standardised[:, :CLASSES] + noise).argmax(1)


@pytest.mark.parametrize("weight_decay", [0.001, 0.1])
def test_it_finds_the_optimum_that_scikit_learn_finds(features: Tensor, labels: Tensor, weight_decay: float) -> None:
    weight, bias = solve(features, labels, classes=CLASSES, weight_decay=weight_decay, iterations=500)
    inputs = (features - features.mean(0)) / features.std(0, correction=0)
    # Its loss is a sum over photographs, ours a mean.
    peer = LogisticRegression(C=1 / (weight_decay * len(features)), max_iter=5000, tol=1e-8)
    peer.fit(inputs.double().numpy(), labels.numpy())
    expected = torch.from_numpy(peer.predict_proba(inputs.double().numpy())).float()
    torch.testing.assert_close((features @ weight.T + bias).softmax(1), expected, atol=2e-3, rtol=0)


def test_the_stronger_the_penalty_the_nearer_to_the_former_stages_head(features: Tensor, labels: Tensor) -> None:
    prior = (
        torch.randn(CLASSES, 8, generator=torch.Generator().manual_seed(3)) / features.std(0),
        torch.zeros(CLASSES),
    )
    distances = []
    for weight_decay in (0.01, 0.1, 1.0, 10.0):
        weight, bias = solve(features, labels, classes=CLASSES, weight_decay=weight_decay, iterations=500, prior=prior)
        distances.append(float(((weight - prior[0]) * features.std(0)).norm()))
        # The bias is not pulled: at the optimum it makes every class as frequent as it is.
        frequencies = (features @ weight.T + bias).softmax(1).mean(0)
        torch.testing.assert_close(frequencies, torch.bincount(labels) / len(labels), atol=1e-3, rtol=0)
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 < distances[0]
