"""Embeddings of photographs one by one, in whatever pieces they were kept: a grown dataset computes new ones only.

`ml.networks.embeddings` keeps embeddings in files of many photographs each, whose names are hashes of all of them: one
photograph more, and the file has another name. Here each file has an index beside it, the SHA-256 of the bytes of its
photographs, so that those of earlier datasets and of trainings are found again.
"""

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ml.files import replacing
from ml.images.pack import Photos
from ml.networks.embeddings import Embeddings, Pass, Piece, read_piece

HELD_FILES: Final = 2
"""Files in memory."""


class _Place(NamedTuple):
    """Where the embedding of a photograph is."""

    file: int
    row: int


class PhotoFeatures:
    """The embeddings of photographs; a `ml.training.feature_rows.Source`."""

    def __init__(self, embeddings: Embeddings, *, folder: Path) -> None:
        """Find embeddings, and compute those that are missing by `embeddings`.

        Args:
            embeddings: Of the network, with the folder of their files.
            folder: Where indices are kept, below one folder per network.
        """
        self._embeddings, self._folder = embeddings, folder / embeddings.name[:16]
        self._files: list[Path] = []
        self._places: dict[bytes, _Place] = {}
        self._digests: dict[str, bytes] = {}
        self._held: OrderedDict[int, Piece] = OrderedDict()

    def keep(self, *sides: Photos) -> tuple[Photos, int]:
        """Compute the embeddings that no file holds.

        Args:
            sides: The photographs as trainings have them: one `Photos` for each side of the split.

        Returns:
            The photographs that have an embedding, in the order in which they are read fastest, and how many were
            computed.

        Raises:
            InterruptedTrainingError: the event to stop was set; the pieces computed so far are kept.
        """
        photos = sides[0]
        for side in sides[1:]:
            photos = photos.joined(side)
        pack = self._embeddings.loader.pack
        for photo_id, row in zip(photos.photo_ids, photos.rows, strict=True):
            self._digests[photo_id] = hashlib.sha256(pack.jpeg(int(row))).digest()
        self._read_indices()
        for side in sides:
            self._index(Pass(side))
        absent = [at for at, photo_id in enumerate(photos.photo_ids) if self._digests[photo_id] not in self._places]
        if absent:
            missing = Pass(photos.take(np.array(absent, dtype=np.int64)))
            self._embeddings.keep([missing], title="features")
            self._index(missing)
        found = [self._places.get(self._digests[photo_id]) for photo_id in photos.photo_ids]
        order = sorted((place, at) for at, place in enumerate(found) if place is not None)
        return photos.take(np.array([at for _, at in order], dtype=np.int64)), len(absent)

    def piece(self, of: Pass, number: int) -> Piece:
        """A piece of the photographs that `keep` returned.

        Raises:
            OSError: a file is not there any more, or is damaged.
        """
        positions = of.positions(number)
        features = []
        for position in positions:
            place = self._places[self._digests[of.photos.photo_ids[position]]]
            features.append(self._in_memory(place.file).features[place.row])
        return Piece(torch.stack(features), positions, {})

    def _in_memory(self, file: int) -> Piece:
        if file not in self._held:
            piece = read_piece(self._files[file], begin=0)
            if piece is None:
                self._files[file].unlink(missing_ok=True)
                raise OSError(f"{self._files[file]} is damaged, or was removed meanwhile; run again")
            self._held[file] = piece
            while len(self._held) > HELD_FILES:
                self._held.popitem(last=False)
        self._held.move_to_end(file)
        return self._held[file]

    def _read_indices(self) -> None:
        """Learn which photographs the known files hold; an index whose file is gone goes, too."""
        for index in sorted(self._folder.glob("*.npy")):
            file = self._embeddings.folder / f"{index.stem}.safetensors"
            digests = _digests(index) if file.exists() else None
            if digests is None:
                index.unlink(missing_ok=True)
            else:
                self._learn(file, digests)

    def _index(self, of: Pass) -> None:
        """Write the indices of those files of a pass that are there and have none yet."""
        known = {file.stem for file in self._files}
        for number in range(of.pieces):
            file = self._embeddings.file(of, number)
            piece = None if file.stem in known else read_piece(file, begin=int(of.positions(number)[0]))
            if piece is None:
                continue
            names = [self._digests[of.photos.photo_ids[position]] for position in piece.positions]
            digests = np.frombuffer(b"".join(names), dtype=np.uint8).reshape(-1, 32)
            with replacing(self._folder / f"{file.stem}.npy") as partial, partial.open("wb") as stream:
                np.save(stream, digests)
            self._learn(file, digests)

    def _learn(self, file: Path, digests: NDArray[np.uint8]) -> None:
        self._files.append(file)
        for row, digest in enumerate(digests):
            self._places.setdefault(digest.tobytes(), _Place(len(self._files) - 1, row))


def _digests(index: Path) -> NDArray[np.uint8] | None:
    """The hashes (N, 32) that an index holds; None where it is damaged."""
    try:
        digests: NDArray[np.uint8] = np.load(index)
    except (OSError, EOFError, ValueError):
        return None
    return digests if digests.ndim == 2 and digests.shape[1] == 32 else None
