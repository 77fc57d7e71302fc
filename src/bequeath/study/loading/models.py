"""Loads a study's models; a probe is fitted once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bequeath.data.samples import Dataset, balanced
from bequeath.errors import BequeathError, first_line
from bequeath.files import replacing
from bequeath.games.inputs import config_of, in_eval_mode
from bequeath.models.adapters import load_adapter
from bequeath.models.fuse import fused_for_inference
from bequeath.models.probe import features, fit_probe, load_backbone, with_probe
from bequeath.models.weights import load_model
from bequeath.study.config import ModelConfig, StudyConfig
from bequeath.study.loading.digests import file_digest, key_of
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.plan import Checkpoint

_PROBE_SAMPLES = 2000
_BATCH = 64


class ModelLoader:
    """Loads checkpoints.

    Parameters
    ----------
    config : StudyConfig
    inputs : StudyInputs
        Holds the training data of probes.
    fuse : bool
        Whether batch normalisation may be folded into convolutions.
    """

    def __init__(self, config: StudyConfig, inputs: StudyInputs, *, fuse: bool) -> None:
        self.config, self.inputs, self._fuse = config, inputs, fuse

    def load(self, checkpoint: Checkpoint, cache: Path) -> nn.Module:
        """Load one checkpoint's model.

        Parameters
        ----------
        checkpoint : Checkpoint
        cache : Path
            Folder of fitted probes.

        Returns
        -------
        nn.Module
            In eval mode, on the device of the inputs, prepared for fast inference.
        """
        config = self.config.models[checkpoint.model]
        # A language model ignores the number of classes.
        classes, kind = self.inputs.outputs or 1, self.inputs.modality
        if config.probe:
            model = self._probed(config, checkpoint, cache)
        else:
            adapted = config.base is not None
            model = load_model(
                config.architecture,
                config.base if adapted else checkpoint.file,
                classes,
                kind,
                new_head=True if adapted else None,
                weights_key=config.weights_key,
                **config.options,
            )
            if adapted:
                assert checkpoint.file is not None
                model = load_adapter(model, checkpoint.file)
        if self.inputs.tokenizer is not None and (own := config_of(model)) is not None:
            # Classifiers built on causal models use it to find a text's last token.
            own.pad_token_id = self.inputs.tokenizer.pad_token_id
        model = model.to(self.inputs.how.device)
        # Folding changes the outputs of inner layers, so it is not done if players lie there.
        if kind == "image" and self._fuse:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            model = fused_for_inference(model, self.inputs.batch([self.inputs.data[0]]))
        return model

    def _probed(self, config: ModelConfig, checkpoint: Checkpoint, cache: Path) -> nn.Module:
        assert self.inputs.train is not None  # the study file was refused otherwise
        assert checkpoint.file is not None
        backbone, head = load_backbone(
            config.architecture,
            checkpoint.file,
            len(self.inputs.classes),
            self.inputs.modality,
            config.head,
            weights_key=config.weights_key,
            **config.options,
        )
        backbone = backbone.to(self.inputs.how.device)
        train: Dataset = self.inputs.train
        chosen = balanced(train, min(len(train), _PROBE_SAMPLES), self.config.seed)
        weight, bias = self._fitted(config, checkpoint, cache, backbone, head, chosen)
        return in_eval_mode(with_probe(backbone, head, weight, bias))

    def _fitted(
        self,
        config: ModelConfig,
        checkpoint: Checkpoint,
        cache: Path,
        backbone: nn.Module,
        head: str,
        chosen: Sequence[int],
    ) -> tuple[Any, Any]:
        """Weight and bias of the probe: kept from an earlier fit on this backbone and training data, or fitted now."""
        assert self.inputs.train is not None
        train: Dataset = self.inputs.train
        labels = [train.labels[i] for i in chosen]
        names = [train.ids[i] for i in chosen]
        data = self.config.data.model_dump(mode="json")
        model = config.model_dump(mode="json", exclude={"weights"})
        key = key_of(file_digest(checkpoint.file), model, data, names, labels, self.config.seed)
        file = cache / f"probe-{checkpoint.model}-{key}.npz"
        if file.exists():
            return _kept_probe(file, len(self.inputs.classes))
        batches = (
            self.inputs.batch([train[i] for i in chosen[first : first + _BATCH]])
            for first in range(0, len(chosen), _BATCH)
        )
        weight, bias = fit_probe(features(backbone, head, batches), labels, self.config.seed)
        # Several workers may fit the same probe at the same time; they write the same file.
        with replacing(file) as partial, partial.open("wb") as stream:
            np.savez(stream, weight=weight, bias=bias)
        return weight, bias


def _kept_probe(file: Path, classes: int) -> tuple[Any, Any]:
    """Read weight and bias from a file that a run wrote."""
    try:
        with np.load(file, allow_pickle=False) as saved:
            weight, bias = saved["weight"], saved["bias"]
        if weight.ndim != 2 or len(weight) not in (1, classes) or bias.shape != (len(weight),):
            raise ValueError(f"weight {weight.shape} and bias {bias.shape} of {classes} classes")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError("not finite")
    except Exception as error:
        raise BequeathError(f"{file}: damaged ({first_line(error)}); remove it and start again") from None
    return weight, bias
