"""Image towers of open_clip's repositories, such as BioCLIP's, as backbones of timm.

Source: `open_clip_config.json`, which open_clip writes beside its weights (`model_cfg.vision_cfg`, `preprocess_cfg`).
"""

from typing import Any, Final

from timm.data import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ml.errors import NetworkError

CONFIGURATION: Final = "open_clip_config.json"
WEIGHTS: Final = "open_clip_pytorch_model.bin"
"""timm prefers the safetensors file beside it."""

_TRANSFORMER: Final = {"image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size"}
"""Of `vision_cfg`: what describes OpenAI's vision transformer, which open_clip trains by default."""


def tower(configuration: dict[str, Any], *, source: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The image tower that `configuration` describes.

    Args:
        configuration: The content of `open_clip_config.json`.
        source: Where it is from, for errors.

    Returns:
        Timm's architecture, its arguments, and what timm needs to know of the weights (`PretrainedCfg`).

    Raises:
        NetworkError: it describes no image tower, or one that timm does not build.
    """
    try:
        model, vision = configuration["model_cfg"], configuration["model_cfg"]["vision_cfg"]
        embedding, size = int(model["embed_dim"]), vision.get("image_size", 224)
        if "timm_model_name" in vision:
            architecture = str(vision["timm_model_name"])
            pool = vision.get("timm_pool", "avg")
            arguments = {"global_pool": pool} if pool else {}
            outputs = embedding if vision.get("timm_proj", "linear") == "linear" else 0
        else:
            foreign = sorted(set(vision) - _TRANSFORMER)
            if foreign:
                raise NetworkError(
                    f"the image tower of {source} cannot be built by timm: its vision_cfg has {', '.join(foreign)}"
                )
            architecture = f"vit_base_patch16_clip_{'quickgelu_' if model.get('quick_gelu') else ''}224"
            width = int(vision["width"])
            arguments = {
                "patch_size": vision["patch_size"],
                "embed_dim": width,
                "depth": vision["layers"],
                "num_heads": width // vision.get("head_width", 64),
                "mlp_ratio": vision.get("mlp_ratio", 4.0),
            }
            outputs = embedding
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NetworkError(f"{CONFIGURATION} of {source} describes no image tower: {error!r}") from error
    pixels = configuration.get("preprocess_cfg") or {}
    return (
        architecture,
        arguments,
        {
            "architecture": architecture,
            "input_size": (3, size, size),
            "fixed_input_size": True,
            "mean": tuple(pixels.get("mean") or OPENAI_CLIP_MEAN),
            "std": tuple(pixels.get("std") or OPENAI_CLIP_STD),
            # The projection into the space that pictures and texts share is loaded as a classifier would be.
            "num_classes": outputs,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    )
