"""Superpixels of an image as players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.players.family import Players
from bequeath.games.players.image import checked, masked
from bequeath.games.players.masked import MaskedTensor


@dataclass(frozen=True)
class Superpixels(Players):
    """Players are superpixels of an image by SLIC (Achanta et al. 2012, scikit-image), computed for each image.

    Parameters
    ----------
    n_players : int
        Exact number of players. SLIC is asked for a few more, and the smallest are merged with the neighbour of the
        most similar colour.
    compactness : float
        Weight of distance in space against distance in colour (log scale); large values give squares. Pixel values are
        scaled to 0..1 first, so it does not depend on their units.

    Raises
    ------
    BequeathError
        If an argument is not above 0; when they are bound, if the image has too few pixels.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> image = torch.zeros(3, 8, 8)
    >>> image[:, :, 4:] = 1.0
    >>> labels = bq.players.superpixels(2).label_map(image)
    >>> labels[0, 0], labels[0, 7]
    (np.int64(0), np.int64(1))
    """

    fusable = True
    n_players: int
    compactness: float = 10.0

    def __post_init__(self) -> None:
        if self.n_players < 1 or self.compactness <= 0:
            raise BequeathError(
                f"players superpixels: n_players {self.n_players}, compactness {self.compactness}; give both above 0"
            )

    def label_map(self, x: Any) -> NDArray[np.int64]:
        """The superpixel of each pixel, 0..n-1 in reading order: (height, width)."""
        try:
            from skimage.segmentation import slic
        except ImportError:
            raise BequeathError(
                'players superpixels: need scikit-image; pip install "bequeath[vision]"'
            ) from None
        height, width = x.shape[1:]
        if height * width < 4 * self.n_players:
            raise BequeathError(
                f"players superpixels: {self.n_players} on only {height} x {width} pixels; give fewer players"
            )
        pixels = x.detach().cpu().double().permute(1, 2, 0).numpy()
        span = pixels.max() - pixels.min()
        pixels = (pixels - pixels.min()) / (span if span > 0 else 1.0)
        # SLIC gives only about as many as asked for: ask for more until there are enough, then merge. Images without
        # structure, such as noise, give enough only with a larger compactness.
        for compactness in (self.compactness, 10 * self.compactness, 100 * self.compactness):
            for factor in (1, 1.25, 1.5, 2, 3):
                labels = slic(
                    pixels,
                    n_segments=round(self.n_players * factor),
                    compactness=compactness,
                    start_label=0,
                    convert2lab=pixels.shape[2] == 3,
                    channel_axis=2,
                )
                if labels.max() + 1 >= self.n_players:
                    return _merged(labels, pixels, self.n_players)
        raise BequeathError(
            f"players superpixels: {self.n_players} cannot be found on {height} x {width} pixels; give fewer players"
        )

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTensor:
        """Bind the superpixels of the image x, shape (channels, height, width)."""
        x = checked(x, "superpixels")
        owner = torch.from_numpy(self.label_map(x))
        return masked(x, owner, tuple(f"s{i + 1}" for i in range(self.n_players)), baseline)

    def __str__(self) -> str:
        return f"{self.n_players} superpixels (SLIC, compactness {self.compactness:g})"


def _merged(labels: NDArray[Any], pixels: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Merge the smallest segment with its neighbour of the nearest mean colour until n are left, in reading order."""
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    while (count := labels.max() + 1) > n:
        size = np.bincount(labels.ravel(), minlength=count)
        sums = [np.bincount(labels.ravel(), channel.ravel(), count) for channel in np.moveaxis(pixels, 2, 0)]
        colour = np.stack(sums, 1) / size[:, None]
        smallest = int(size.argmin())
        touching = set()
        for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            touching |= set(b[(a == smallest) & (b != smallest)]) | set(a[(b == smallest) & (a != smallest)])
        nearest = min(sorted(touching), key=lambda i: ((colour[i] - colour[smallest]) ** 2).sum())
        labels[labels == smallest] = nearest
        labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    first = np.unique(labels.ravel(), return_index=True)[1]
    rank = first.argsort().argsort()
    return rank[labels].astype(np.int64)


superpixels = Superpixels
