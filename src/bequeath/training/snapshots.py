"""Snapshots of a model's weights (or its adapter's), copied at once and written in the background."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.files import replacing
from bequeath.models.state_files import ADAPTER_CONFIG, ADAPTER_FILES


@dataclass(frozen=True)
class Snapshot:
    """A copy of a model's weights, independent of the model, whose training continues."""

    state: dict[str, Tensor]
    adapter: dict[str, Any] | None
    """PEFT's configuration if the model is an adapter on a base; the state is then the adapter's. None otherwise."""

    def write(self, path: Path, metadata: dict[str, str]) -> None:
        """Write ``path.safetensors``, or for an adapter the folder ``path``, complete or not at all."""
        if self.adapter is None:
            with replacing(path.with_name(path.name + ".safetensors")) as partial:
                save_file(self.state, partial, metadata=metadata)
            return
        with replacing(path) as partial:
            partial.mkdir()
            save_file(self.state, partial / ADAPTER_FILES[0], metadata=metadata)
            text = json.dumps(self.adapter, indent=1, default=_plain)
            (partial / ADAPTER_CONFIG).write_text(text, encoding="utf-8")


def snapshot(model: nn.Module) -> Snapshot:
    """Copy a model's state dict to the CPU. Of a PEFT model only the adapter, and layers trained with it, are copied.

    Raises
    ------
    BequeathError
        If the weights are spread over processes (FSDP, DeepSpeed's stage 3).
    """
    model = unwrapped(model)
    for name, parameter in model.named_parameters():
        if type(parameter).__name__ == "DTensor" or hasattr(parameter, "ds_id"):
            raise BequeathError(
                f"{type(model).__name__}: {name} is spread over processes; save whole checkpoints with the training "
                "library and name them in the study file"
            )
    adapter = None
    state = model.state_dict()
    if hasattr(model, "peft_config"):
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(model, save_embedding_layers=False)
        adapter = _adapter_config(model)
    copied_storages: set[tuple[Any, ...]] = set()
    copied = {}
    for name, value in state.items():
        storage = (value.data_ptr(), value.shape, value.stride())
        # Tied weights are saved once; loading ties them again.
        if value.numel() and storage in copied_storages:
            continue
        copied_storages.add(storage)
        copied[name] = value.detach().to("cpu", copy=True).contiguous()
    return Snapshot(copied, adapter)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of `torch.compile` and data parallelism."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if inner is None:
            return model
        model = inner


def _adapter_config(model: Any) -> dict[str, Any]:
    names = model.active_adapters if not callable(model.active_adapters) else model.active_adapters()
    if len(names) != 1:
        raise BequeathError(
            f"{type(model).__name__}: {len(names)} adapters are active ({', '.join(names)}), but only one can be "
            "saved; activate one"
        )
    config: dict[str, Any] = {**model.peft_config[names[0]].to_dict(), "inference_mode": True}
    return config


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(value)


class Writer:
    """Writes one snapshot at a time in the background: at most two copies of the weights are in memory."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "checkpoints")
        self._last: Future[None] | None = None

    def write(self, taken: Snapshot, path: Path, metadata: dict[str, str]) -> None:
        """Start writing a snapshot, once the previous one is written. An error of the previous one is raised here."""
        self.wait()
        self._last = self._pool.submit(taken.write, path, metadata)

    def wait(self) -> None:
        """Wait until everything is on the disk."""
        last, self._last = self._last, None
        if last is not None:
            last.result()
