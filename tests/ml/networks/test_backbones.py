"""Backbones of a hub, a folder or a file: built, normalised and loaded as these say, in timm's form and in others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import save_file
from timm.models import save_for_hf
from torch import Tensor, nn

from ml.errors import NetworkError, WeightsError
from ml.networks.backbones import find
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build, load, save
from ml.networks.pretrained import initialise

VIT: dict[str, Any] = {"depth": 2, "embed_dim": 32, "num_heads": 2}
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
OPEN_CLIP: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 128, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 100, "width": 64, "heads": 1, "layers": 1},
    },
    "preprocess_cfg": {"mean": list(MEAN), "std": list(STD), "interpolation": "bicubic"},
}


def network_of(name: str, *, image_size: int = 64) -> Network:
    return build(NetworkSpec(**find(name).described(), classes=3, image_size=image_size))


def features(backbone: nn.Module, pixels: Tensor) -> Tensor:
    timms: Any = backbone
    with torch.no_grad():
        result: Tensor = timms.forward_head(timms.forward_features(pixels), pre_logits=True)
    return result


def randomised(module: nn.Module) -> nn.Module:
    """Random also where a network starts with noughts and ones, so that a tensor that is not loaded shows."""
    torch.manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor))
    return module.eval()


def in_folder(folder: Path, architecture: str, arguments: dict[str, Any]) -> nn.Module:
    """A folder as timm pushes it to a hub, and the network in it."""
    original = randomised(timm.create_model(architecture, num_classes=7, **arguments))
    save_for_hf(original, str(folder), safe_serialization=True, data_config={"mean": MEAN, "std": STD})
    return original


class OpenClipTower(nn.Module):
    """The image tower of open_clip (`open_clip/transformer.py`, VisionTransformer), under its own names."""

    def __init__(self, *, width: int, layers: int, patch: int, grid: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn(grid**2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList()
        for _ in range(layers):
            block = nn.Module()
            block.ln_1, block.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            block.attn = nn.MultiheadAttention(width, heads, batch_first=True)
            block.mlp = nn.Sequential()
            block.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
            block.mlp.add_module("gelu", nn.GELU())
            block.mlp.add_module("c_proj", nn.Linear(4 * width, width))
            self.transformer.resblocks.append(block)
        self.proj = nn.Parameter(torch.randn(width, outputs))

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (N, width) before the projection."""
        tokens = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(tokens), 1, -1)
        tokens = self.ln_pre(torch.cat([first, tokens], dim=1) + self.positional_embedding)
        for block in self.transformer.resblocks:  # type: ignore[union-attr]
            normed = block.ln_1(tokens)
            tokens = tokens + block.attn(normed, normed, normed, need_weights=False)[0]
            tokens = tokens + block.mlp(block.ln_2(tokens))
        pooled: Tensor = self.ln_post(tokens[:, 0])
        return pooled


def open_clip_state(tower: nn.Module) -> dict[str, Tensor]:
    """What open_clip writes: the image tower under `visual.`, and the text's tower beside it."""
    state = {f"visual.{name}": tensor for name, tensor in tower.state_dict().items()}
    return state | {"text_projection": torch.zeros(8, 24), "logit_scale": torch.zeros(())}


def open_clip_tower() -> nn.Module:
    return randomised(OpenClipTower(width=128, layers=2, patch=16, grid=4, outputs=24, heads=2))


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("vit_tiny_patch16_224", {**VIT, "img_size": 64}),
        ("vit_small_patch16_dinov3", VIT),
        ("eva02_tiny_patch14_224", {**VIT, "img_size": 56}),
        ("convnext_atto", {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}),
        ("test_efficientnet", {}),
    ],
)
def test_a_folder_in_timms_form_is_built_and_loaded_as_it_says(
    tmp_path: Path, architecture: str, arguments: dict[str, Any]
) -> None:
    original = in_folder(tmp_path / "hub", architecture, arguments)
    size = arguments.get("img_size", 64)
    network = network_of(f"local-dir:{tmp_path / 'hub'}", image_size=size)
    initialise(network, source="hub")
    pixels = torch.rand(2, 3, size, size)
    torch.testing.assert_close(features(network.eval().backbone, pixels), features(original, pixels))
    assert network.spec.timm_name == architecture
    assert network.spec.mean == pytest.approx(MEAN)
    assert network.spec.std == pytest.approx(STD)


def test_what_is_saved_needs_no_folder_any_more(tmp_path: Path) -> None:
    in_folder(tmp_path / "hub", "vit_tiny_patch16_224", {**VIT, "img_size": 64})
    network = network_of(f"local-dir:{tmp_path / 'hub'}").eval()
    (tmp_path / "saved").mkdir()
    files = save(network, folder=tmp_path / "saved")
    (tmp_path / "hub").rename(tmp_path / "elsewhere")
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load(*files)(pixels), network(pixels))


def test_a_transformers_position_embedding_follows_the_size_of_the_photographs(tmp_path: Path) -> None:
    original = in_folder(tmp_path, "vit_tiny_patch16_224", {**VIT, "img_size": 64})
    network = network_of(f"local-dir:{tmp_path}", image_size=96)
    initialise(network, source="hub")
    assert original.get_parameter("pos_embed").shape[1] == 4**2 + 1
    assert network.backbone.get_parameter("pos_embed").shape[1] == 6**2 + 1
    again = network_of(f"local-dir:{tmp_path}", image_size=96)
    initialise(again, source=str(tmp_path / "model.safetensors"))
    assert torch.equal(again.backbone.get_parameter("pos_embed"), network.backbone.get_parameter("pos_embed"))


def test_a_folder_in_open_clips_form_gives_its_image_tower(tmp_path: Path) -> None:
    tower = open_clip_tower()
    (tmp_path / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP))
    torch.save(open_clip_state(tower), tmp_path / "open_clip_pytorch_model.bin")
    network = network_of(f"local-dir:{tmp_path}")
    initialise(network, source="hub")
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.eval().features(pixels), tower(pixels), rtol=1e-4, atol=1e-5)
    assert network.spec.mean == MEAN
    assert network.head.in_features == 128


def test_a_hubs_repository_in_either_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = in_folder(tmp_path / "timms", "vit_tiny_patch16_224", {**VIT, "img_size": 64})
    tower = open_clip_tower()
    (tmp_path / "bioclips").mkdir()
    (tmp_path / "bioclips" / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP))
    save_file(open_clip_state(tower), tmp_path / "bioclips" / "open_clip_model.safetensors")

    def download(repo_id: str, filename: str, *, revision: str | None = None, **_: object) -> str:
        assert revision in {None, "v2"}
        file = tmp_path / repo_id.partition("/")[2] / filename
        if not file.exists():
            raise EntryNotFoundError(f"404: {filename}")
        return str(file)

    monkeypatch.setattr("timm.models._hub.hf_hub_download", download)
    monkeypatch.setattr("ml.networks.backbones.hf_hub_download", download)
    pixels = torch.rand(2, 3, 64, 64)
    for name, expected in (
        ("hf-hub:owner/timms", lambda: features(original, pixels)),
        ("hf-hub:owner/timms@v2", lambda: features(original, pixels)),
        ("hf-hub:owner/bioclips", lambda: tower(pixels).detach()),
    ):
        network = network_of(name)
        initialise(network, source="hub")
        with torch.no_grad():
            torch.testing.assert_close(network.eval().features(pixels), expected(), rtol=1e-4, atol=1e-5)


def test_the_tower_of_bioclip_2_is_the_large_transformer_of_clip(tmp_path: Path) -> None:
    model = {"embed_dim": 768, "vision_cfg": {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
    found = find(f"local-dir:{tmp_path}")
    assert found.mean == timm.data.OPENAI_CLIP_MEAN
    with torch.device("meta"):
        ours = network_of(f"local-dir:{tmp_path}", image_size=224).backbone
        theirs = timm.create_model("vit_large_patch14_clip_224", num_classes=0)
    shapes = [{name: tensor.shape for name, tensor in each.state_dict().items()} for each in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(
    ("vision", "reason"),
    [
        ({"no_ln_pre": True, "pool_type": "avg"}, "its vision_cfg has no_ln_pre, pool_type"),
        ({"width": None}, "describes no image tower"),
        ({"timm_model_name": "vit_of_dreams"}, "no backbone named 'vit_of_dreams'"),
    ],
)
def test_a_tower_that_timm_does_not_build_is_refused(tmp_path: Path, vision: dict[str, Any], reason: str) -> None:
    model = {**OPEN_CLIP["model_cfg"], "vision_cfg": OPEN_CLIP["model_cfg"]["vision_cfg"] | vision}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    with pytest.raises(NetworkError, match=reason):
        find(f"local-dir:{tmp_path}")


def test_names_that_nothing_has_are_refused(tmp_path: Path) -> None:
    for name, reason in (
        ("resnet_of_dreams", "no backbone named 'resnet_of_dreams'"),
        ("resnet50.never_trained", r"no backbone named 'resnet50\.never_trained': Invalid pretrained tag"),
        ("owner/name", "no backbone named 'owner/name'"),
        (f"local-dir:{tmp_path}", "holds no backbone: it needs timm's config.json or open_clip_config.json"),
    ):
        with pytest.raises(NetworkError, match=reason):
            find(name)


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable\nand much more")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", unreachable)
    with pytest.raises(WeightsError, match=r"^the configuration of hf-hub:owner/name cannot be .*local-dir") as raised:
        find("hf-hub:owner/name")
    assert "\n" not in str(raised.value)


def dinov3s(backbone: nn.Module) -> dict[str, Tensor]:
    """The names of Meta's own checkpoint, with what it has and timm leaves out."""
    names = {"reg_token": "storage_tokens", "gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"}

    def renamed(name: str) -> str:
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        return name

    state = {renamed(name): tensor for name, tensor in backbone.state_dict().items()}
    return state | {"mask_token": torch.zeros(1, 32), "rope_embed.periods": torch.zeros(4)}


def eva02s(backbone: nn.Module) -> dict[str, dict[str, Tensor]]:
    """A checkpoint of EVA-02's masked pretraining, as its authors wrote it."""
    state = {name.replace("fc_norm.", "norm."): tensor for name, tensor in backbone.state_dict().items()}
    return {"module": {**state, "mask_token": torch.zeros(1, 1, 32), "lm_head.weight": torch.zeros(8, 32)}}


def convnexts(backbone: nn.Module) -> dict[str, dict[str, Tensor]]:
    """The names of Meta's own ConvNeXt."""
    state: dict[str, Tensor] = {}
    for name, tensor in backbone.state_dict().items():
        new = name.replace("stem.", "downsample_layers.0.").replace("head.norm.", "norm.")
        for stage in range(4):
            new = new.replace(f"stages.{stage}.downsample.", f"downsample_layers.{stage}.")
            new = new.replace(f"stages.{stage}.blocks.", f"stages.{stage}.")
        new = new.replace("conv_dw", "dwconv").replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
        state[new] = tensor
    return {"model": state | {"head.weight": torch.zeros(7, 32), "head.bias": torch.zeros(7)}}


@pytest.mark.parametrize(
    ("architecture", "arguments", "written"),
    [
        ("vit_small_patch16_dinov3", VIT, dinov3s),
        ("eva02_tiny_patch14_224", VIT, eva02s),
        ("convnext_atto", {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}, convnexts),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
def test_files_of_the_authors_own_form_are_converted_by_timm(
    tmp_path: Path, architecture: str, arguments: dict[str, Any], written: Callable[[nn.Module], Any], suffix: str
) -> None:
    size = 56 if "patch14" in architecture else 64
    spec = NetworkSpec(backbone=architecture, arguments=arguments, classes=3, image_size=size)
    source, target = build(spec), build(spec)
    randomised(source.backbone)
    content = written(source.backbone)
    file = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        inner = content.get("model", content.get("module", content))
        save_file({name: tensor.contiguous() for name, tensor in inner.items()}, file)
    else:
        torch.save(content, file)
    initialise(target, source=str(file))
    theirs = target.backbone.state_dict()
    for name, tensor in source.backbone.state_dict().items():
        assert torch.equal(theirs[name], tensor), name


def test_open_clips_file_starts_timms_transformer(tmp_path: Path) -> None:
    tower = open_clip_tower()
    torch.save({"state_dict": open_clip_state(tower)}, tmp_path / "epoch_9.pt")
    arguments: dict[str, Any] = {"depth": 2, "embed_dim": 128, "num_heads": 2}
    network = build(
        NetworkSpec(backbone="vit_base_patch16_clip_224", arguments=arguments, classes=3, image_size=64)
    ).eval()
    initialise(network, source=str(tmp_path / "epoch_9.pt"))
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.features(pixels), tower(pixels), rtol=1e-4, atol=1e-5)


class Code:
    """Something that a file of tensors has no use for."""


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"x": torch.zeros(1)}, "extra": Code()}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="nor one of tensors that torch has written: weights_only=True blocked"):
        initialise(network_of("test_vit", image_size=160), source=str(tmp_path / "weights.pth"))


def test_what_a_hub_lacks_is_not_left_random(tmp_path: Path) -> None:
    in_folder(tmp_path, "vit_tiny_patch16_224", {**VIT, "img_size": 64})
    state = timm.models.load_state_dict(str(tmp_path / "model.safetensors"))
    del state["blocks.1.mlp.fc1.bias"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"are not its own: .*Missing key.*blocks\.1\.mlp\.fc1\.bias"):
        initialise(network_of(f"local-dir:{tmp_path}"), source="hub")
    with pytest.raises(WeightsError, match=r"lack blocks\.1\.mlp\.fc1\.bias"):
        initialise(network_of(f"local-dir:{tmp_path}"), source=str(tmp_path / "model.safetensors"))
