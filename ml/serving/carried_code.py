"""The modules of this package that a registered version carries, so that it answers in other environments."""

import shutil
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any, Final

MODEL: Final = Path(__file__).resolve().with_name("model.py")
"""What MLflow runs when it loads a version."""


def copy_needed(folder: Path) -> Path:
    """Copy the modules of `ml` that `ml.serving.model` imports, directly or not; a version carries no others.

    Args:
        folder: Where the package is copied to.

    Returns:
        `folder / "ml"`, which MLflow stores with the model, and puts first on the path of a process that loads it.
    """
    root = MODEL.parents[2]
    finder = _OwnModules(path=[str(root)])
    finder.run_script(str(MODEL))
    files: dict[str, str] = {name: vars(module)["__file__"] for name, module in finder.modules.items()}
    for name, file in files.items():
        if name.partition(".")[0] == "ml":
            copy = folder / Path(file).relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    return folder / "ml"


class _OwnModules(ModuleFinder):
    """Follows imports of this package alone, whatever is installed beside it."""

    def find_module(self, name: str, path: Any, parent: Any = None) -> Any:  # noqa: ANN401 (untyped in the library)
        """As the library does, for modules of `ml`."""
        # Without a path it is a module of the first level that is looked for.
        if path is None and name != "ml":
            raise ImportError(name)
        return super().find_module(name, path, parent)
