"""Fine-tuning changes the last steps of the backbone and everything that is new, and nothing else."""

from ml.networks.network import Network, build
from ml.networks.trainable import freeze, set_training_mode, trainable_steps
from tests.ml.networks.test_cuts import views


def test_a_family_that_is_not_in_the_table_is_fine_tuned_by_its_blocks() -> None:
    network = build(views("tf_efficientnet_lite0", backbone="ghostnet_050"))
    assert network.plan is None
    assert {f"blocks.{number}" for number in range(6)} < trainable_steps(network, share=1)


def trained(network: Network) -> set[str]:
    return {name for name, weight in network.named_parameters() if weight.requires_grad}


def test_only_the_last_steps_are_fine_tuned() -> None:
    network = build(views("tf_efficientnet_lite0"))
    assert len(trainable_steps(network, share=1)) == 11
    freeze(network, trainable=0.5, branches="random")
    assert "head.weight" in trained(network)
    assert any(name.startswith("backbone.blocks.6") for name in trained(network))
    assert not any(name.startswith(("backbone.blocks.2", "backbone.conv_stem")) for name in trained(network))
    set_training_mode(network, branches="random", batch_norm_frozen=False)
    assert not network.backbone.get_submodule("blocks.2.0.bn1").training
    assert network.backbone.get_submodule("blocks.6.0.bn1").training


def test_a_random_branch_is_trained_whole_and_a_pretrained_one_as_the_whole_view() -> None:
    network = build(views("tf_efficientnet_lite0", 0.5, split_after="blocks.1"))
    freeze(network, trainable=0.5, branches="random")
    set_training_mode(network, branches="random", batch_norm_frozen=True)
    assert "branches.0.blocks_2.0.conv_pw.weight" in trained(network)
    assert network.branches[0].get_submodule("blocks_2.0.bn1").training, "a random branch has no statistics to keep"
    freeze(network, trainable=0.5, branches="pretrained")
    set_training_mode(network, branches="pretrained", batch_norm_frozen=True)
    assert "branches.0.blocks_2.0.conv_pw.weight" not in trained(network)
    assert not network.branches[0].get_submodule("blocks_2.0.bn1").training
    assert any(name.startswith("fusion") for name in trained(network))
