"""What training minimises: cross entropy, with the auxiliary classifier's share."""

from torch import Tensor, nn

from ml.networks.network import Network


class Objective(nn.Module):
    """A network and its loss as one module, so that it can be compiled or distributed as a whole.

    Source: paper section 3.1 ("auxiliary classifier"); TF-slim weighs its loss by 0.4.
    """

    def __init__(self, network: Network, *, label_smoothing: float, auxiliary_weight: float) -> None:
        """Train `network`."""
        super().__init__()
        self.network = network
        self.auxiliary_weight = auxiliary_weight
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def forward(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, a scalar in float32, and the logits (N, classes) of normalised pixels (N, views, 3, H, W)."""
        logits, auxiliary = self.network.outputs(pixels)
        logits = logits.float()
        loss: Tensor = self.loss(logits, labels)
        if auxiliary is not None:
            loss = loss + self.auxiliary_weight * self.loss(auxiliary.float(), labels)
        return loss, logits
