"""`naturewatch export`: a registered version as one file for other programs, with all that its answers need beside it.

The file takes the pixels of photographs as bytes and gives what the served model would compute: tempered species
probabilities, the embedding and, where the version has a novelty score, its distance. `README.md`, written beside it
(`ml.serving.export_folder`), says how a photograph is cut and how probabilities become an answer.
"""

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NoReturn

from ml.ending import complain, end_by_signals

if __name__ == "__main__":
    # The imports below take a moment.
    end_by_signals()

import torch
from torch import Tensor, nn

from ml.devices import Device
from ml.errors import MlError
from ml.files import replacing
from ml.networks.inference import look, seen_boxes
from ml.networks.network import Network, load
from ml.serving.answering import Answering
from ml.serving.export_folder import copy_artifacts, describe
from ml.serving.versions import CHAMPION, files_of, find_version
from ml.specificity.novelty import Novelty
from ml.specificity.temperature import SMALLEST

FormatName = Literal["onnx", "pt2"]
FORMATS: Final[tuple[FormatName, ...]] = ("onnx", "pt2")
NEEDED: Final = ("onnx", "onnxscript")
"""What torch's exporter to ONNX imports."""
PROCESSOR: Final = Device(device=torch.device("cpu"), rank=0, world=1, precision="fp32")
BYTE: Final = 255.0


class ExportError(MlError):
    """A version cannot be exported as asked."""


class Exported(nn.Module):
    """A network from bytes to what is answered from: everything between the two is in the file."""

    mean: Tensor
    std: Tensor
    centre: Tensor
    whitening: Tensor
    directions: Tensor

    def __init__(self, network: Network, *, temperature: float, novelty: Novelty | None) -> None:
        """Take a network in evaluation mode, on the processor.

        Args:
            network: The trained network.
            temperature: Of the calibration.
            novelty: The score of the calibration, if there is one.
        """
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.scores = novelty is not None
        self.register_buffer("mean", torch.tensor(network.spec.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(network.spec.std).view(3, 1, 1))
        if novelty is not None:
            for name in ("centre", "whitening", "directions"):
                self.register_buffer(name, torch.from_numpy(getattr(novelty.prototypes, name)).float())

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Probabilities (N, classes), embeddings (N, F) and, with a novelty score, distances (N), all float32.

        Args:
            pixels: RGB bytes of the parts of N photographs (N, parts, H, W, 3).
        """
        scaled = pixels.permute(0, 1, 4, 2, 3).float() / BYTE
        seen = look(self.network, (scaled - self.mean) / self.std, device=PROCESSOR)
        probabilities = self._tempered(seen.probabilities)
        if not self.scores:
            return probabilities, seen.embeddings
        directions = nn.functional.normalize((seen.embeddings - self.centre) @ self.whitening, dim=1)
        return probabilities, seen.embeddings, 1 - (directions @ self.directions.T).amax(1)

    def _tempered(self, probabilities: Tensor) -> Tensor:
        """As `ml.specificity.temperature.temper` does."""
        if self.temperature == 1:
            return probabilities
        relative = probabilities / probabilities.amax(1, keepdim=True)
        powers = torch.where(probabilities < SMALLEST, 0.0, relative ** (1 / self.temperature))
        return powers / powers.sum(1, keepdim=True)

    @property
    def outputs(self) -> list[str]:
        """Names of what `forward` returns."""
        return ["probabilities", "embedding", "distance"][: 3 if self.scores else 2]


def export(module: Exported, *, format_name: FormatName, folder: Path) -> Path:
    """Write `model.onnx` or `model.pt2`, for any number of photographs at once, and return its path.

    Raises:
        ExportError: the packages for ONNX are not installed.
    """
    spec = module.network.spec
    # An exporter takes a size of 1 for a constant.
    example = torch.zeros(2, len(seen_boxes(spec)), spec.image_size, spec.image_size, 3, dtype=torch.uint8)
    sizes = {"pixels": {0: torch.export.Dim("photographs")}}
    path = folder / f"model.{format_name}"
    if format_name == "onnx":
        require_onnx()
    with torch.no_grad(), replacing(path) as partial, warnings.catch_warnings():
        # The exporters warn about their own insides.
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), (example,), dynamic_shapes=sizes)
        if format_name == "pt2":
            with partial.open("wb") as file:
                torch.export.save(program, file)
            return path
        torch.onnx.export(
            program, (), str(partial), dynamo=True, external_data=False, verbose=False, input_names=["pixels"],
            output_names=module.outputs,
        )  # fmt: skip
    return path


def require_onnx() -> None:
    """Refuse where a package is missing (ExportError)."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"ONNX needs {' and '.join(missing)}: install the extra `naturewatch[export]`, or export as pt2"
        )


def export_version(version: str, *, format_name: FormatName, output: Path, uri: str, name: str) -> Path:
    """Export a registered version into a folder, which is made, and return the model's file.

    Args:
        version: A number, or an alias.
        format_name: Of the model's file.
        output: The folder; files of an earlier export are replaced.
        uri: The registry.
        name: The registered model.

    Raises:
        ModelError: there is no such version, or it cannot be used.
        ExportError: a package is missing, or the folder cannot be written.
    """
    if format_name == "onnx":
        require_onnx()
    found = find_version(uri=uri, name=name, alias=version)
    with files_of(found, uri=uri) as artifacts:
        answering = Answering.read(artifacts)
        network = load(Path(artifacts["network"]), Path(artifacts["weights"]))
        try:
            copy_artifacts(artifacts, folder=output)
        except OSError as error:
            problem = f"cannot write into {output}: {error.strerror or error}"
        else:
            problem = ""
    if problem:
        raise ExportError(problem)
    module = Exported(network, temperature=answering.calibration.temperature, novelty=answering.novelty)
    path = export(module, format_name=format_name, folder=output)
    describe(output, model=path.name, version=found, answering=answering, spec=network.spec, outputs=module.outputs)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Export a version and return the exit status."""
    options = build_parser().parse_args(argv)
    try:
        path = export_version(
            options.version, format_name=options.format, output=options.output, uri=options.tracking_uri,
            name=options.model_name,
        )  # fmt: skip
    except MlError as error:
        complain(str(error))
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="naturewatch export", description="Write a registered model as a file for other programs."
    )
    parser.add_argument(
        "version", nargs="?", default=CHAMPION, metavar="VERSION", help="a number or an alias (default champion)"
    )
    parser.add_argument("--format", choices=FORMATS, default="onnx", help="ONNX (default) or torch.export's archive")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where to write the files")
    parser.add_argument("--tracking-uri", required=True, help="MLflow's store")
    parser.add_argument("--model-name", default="naturewatch", help="the registered model (default naturewatch)")
    return parser


def command() -> NoReturn:
    """Be the command."""
    sys.exit(main())


if __name__ == "__main__":
    command()
