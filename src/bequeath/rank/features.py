"""Each candidate's features of the samples, computed in one pass and kept in the output folder."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError, first_line
from bequeath.files import replacing, writable
from bequeath.games.inputs import Inputs, batch_of
from bequeath.models.probe import features
from bequeath.rank.loading import Loaded, of_candidate
from bequeath.rank.samples import Samples
from bequeath.study.config.games import EvaluationConfig

FOLDER = "features"

Tick = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Features:
    """The results of one pass of a candidate over the samples.

    Attributes
    ----------
    features : ndarray
        float32, (samples, features): the inputs of its last layer.
    logits : ndarray or None
        float32, (samples, source classes): the outputs of the head that its weights came with.
    seconds : float
        Duration of the pass.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    seconds: float


def features_file(out: Path, loaded: Loaded, samples: Samples) -> Path:
    """The file of a candidate's features. Its name holds the candidate's name and a key of all inputs."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", loaded.candidate.name)[-60:]
    return out / FOLDER / f"{name}-{loaded.key(samples)}.npz"


def compute(loaded: Loaded, samples: Samples, file: Path, tick: Tick, device: str | None = None) -> Features:
    """Run a candidate over the samples, and write its features to a file.

    Parameters
    ----------
    loaded : Loaded
    samples : Samples
    file : Path
        From `features_file`.
    tick : callable
        Called with the number of samples done since the last call.
    device : str, optional
        By default cuda if there is a GPU.

    Raises
    ------
    BequeathError
        If the candidate fails on a sample, or a feature is not finite; names the candidate.
    """
    x = loaded.dataset[samples.indices[0]].x
    how = EvaluationConfig(device=device).make(x.numel() if isinstance(x, Tensor) else None)
    begin = time.perf_counter()

    def batches() -> Iterator[Inputs]:
        for batch in loaded.batches(samples.indices, how.batch_size, str(how.device)):
            yield batch
            tick(batch_of(batch))

    with of_candidate(loaded.candidate):
        values = features(loaded.model.to(how.device), loaded.head, batches())
        bad = np.flatnonzero(~np.isfinite(values).all(1))
        if len(bad):
            name = loaded.dataset[samples.indices[bad[0]]].id
            raise BequeathError(f"its features of sample {name} are not finite; check its weights")
    logits = None
    if loaded.source is not None:
        weight, bias = (part.numpy() for part in loaded.source)
        logits = np.asarray(values @ weight.T + bias, dtype=np.float32)
    computed = Features(values, logits, time.perf_counter() - begin)
    with writable(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as partial, partial.open("wb") as stream:
            arrays: dict[str, Any] = {"features": values, "seconds": np.array(computed.seconds)}
            arrays |= {} if logits is None else {"logits": logits}
            np.savez(stream, **arrays)
    return computed


def kept(file: Path, samples: Samples) -> Features | None:
    """Read the features that an earlier start wrote; None if there is no file.

    Raises
    ------
    BequeathError
        If the file is damaged.
    """
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as saved:
            stored = Features(saved["features"], saved.get("logits"), float(saved["seconds"]))
        logits = stored.features if stored.logits is None else stored.logits
        if stored.features.ndim != 2 or not len(stored.features) == len(logits) == len(samples.labels):
            raise ValueError(f"features {stored.features.shape} of {len(samples.labels)} samples")
        if not (np.isfinite(stored.features).all() and np.isfinite(logits).all()):
            raise ValueError("not finite")
    except Exception as error:
        raise BequeathError(f"{file}: damaged ({first_line(error)}); remove it and start again") from None
    return stored
