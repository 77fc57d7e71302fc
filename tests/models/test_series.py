"""Checkpoint series: order, steps, and where they are read from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from test_adapters import adapted

from bequeath.errors import BequeathError
from bequeath.models import checkpoint_series, read_state
from bequeath.training.checkpoints import Checkpoints

STATE = {"w": torch.ones(2)}


def safetensors(path: Path, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(STATE, path, metadata=metadata or None)
    return path


def lightning(path: Path, global_step: Any, **more: Any) -> Path:
    torch.save({"state_dict": STATE, "global_step": global_step, "epoch": 3, "loops": {}, **more}, path)
    return path


def trainer(folder: Path, step: int, name: str = "model.safetensors") -> Path:
    """As transformers' Trainer writes them."""
    safetensors(folder / name)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "epoch": 1.0}))
    return folder


def steps(found: list[tuple[str, int, Path]]) -> list[int]:
    assert [name for name, _, _ in found] == [f"step {step}" for _, step, _ in found]
    for _, _, path in found:
        read_state(path)  # each one loads
    return [step for _, step, _ in found]


def test_by_name_in_order_of_step(tmp_path: Path) -> None:
    for name in ("step-9.safetensors", "step-100.safetensors", "step-20.safetensors"):
        safetensors(tmp_path / name)
    found = checkpoint_series(str(tmp_path / "step-*.safetensors"), "here")
    assert steps(found) == [9, 20, 100]
    assert found[0][2] == tmp_path / "step-9.safetensors"
    assert checkpoint_series(sorted(tmp_path.iterdir()), "here") == found


def test_our_own_files(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    keep = Checkpoints(tmp_path / "run", count=3)
    keep.begin(model, last=1000)
    for step in range(1, 1001):
        keep.after(model, step)
    keep.end()
    assert steps(checkpoint_series(tmp_path / "run/*.safetensors", "here")) == [1, 32, 1000]
    assert steps(checkpoint_series(tmp_path / "run", "here")) == [1, 32, 1000]


def test_metadata_goes_before_the_last_number(tmp_path: Path) -> None:
    safetensors(tmp_path / "a-v2.safetensors", step="70")
    safetensors(tmp_path / "b-v1.safetensors", global_step="8", format="pt")
    assert steps(checkpoint_series(str(tmp_path / "*"), "here")) == [8, 70]


def test_folders_of_the_trainer(tmp_path: Path) -> None:
    for step in (500, 1000, 50):
        trainer(tmp_path / f"checkpoint-{step}", step)
    trainer(tmp_path / "last.v2", 2000)
    expected = [50, 500, 1000, 2000]
    assert steps(checkpoint_series(str(tmp_path / "*"), "here")) == expected
    assert steps(checkpoint_series(str(tmp_path / "*" / "model.safetensors"), "here")) == expected


def test_lightning(tmp_path: Path) -> None:
    lightning(tmp_path / "epoch=3-step=40.ckpt", 40)
    lightning(tmp_path / "last.ckpt", 90)
    torch.save({"state_dict": STATE, "step": 10}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    assert steps(checkpoint_series(str(tmp_path / "*.ckpt"), "here")) == [10, 40, 90]


def test_real_lightning(tmp_path: Path) -> None:
    lightning_library = pytest.importorskip("lightning", reason="lightning is not installed")

    class Module(lightning_library.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return self.layer(batch).sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    fit = lightning_library.Trainer(
        max_steps=3, accelerator="cpu", enable_checkpointing=False, default_root_dir=tmp_path, **quiet
    )
    fit.fit(Module(), torch.utils.data.DataLoader(torch.ones(4, 2), batch_size=1))
    fit.save_checkpoint(tmp_path / "some.ckpt")
    ((_, step, path),) = checkpoint_series(tmp_path / "*.ckpt", "here")
    assert step == 3
    assert read_state(path).keys() == {"layer.weight", "layer.bias"}


def test_adapter_folders(tmp_path: Path, transformers: Any) -> None:
    adapted("BertConfig", tmp_path)
    (tmp_path / "adapter").rename(tmp_path / "checkpoint-12")
    assert checkpoint_series([tmp_path / "checkpoint-12"], "here") == [
        ("step 12", 12, tmp_path / "checkpoint-12")
    ]


def test_sharded_folders(tmp_path: Path) -> None:
    trainer(tmp_path / "checkpoint-7", 7, "model-00001-of-00001.safetensors")
    index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
    (tmp_path / "checkpoint-7" / "model.safetensors.index.json").write_text(json.dumps(index))
    assert steps(checkpoint_series([tmp_path / "checkpoint-7"], "here")) == [7]


def test_files_without_a_number_take_their_folders(tmp_path: Path) -> None:
    safetensors(tmp_path / "run_3" / "model.safetensors")
    assert steps(checkpoint_series(str(tmp_path / "*" / "*.safetensors"), "here")) == [3]


class Evil:
    """Refused: reading it could run code."""


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"^key: nothing matches .*\*; check the folder"),
        ({"a.safetensors": {}}, r"^key: no step in .*a\.safetensors: neither"),
        (
            {"a-1.safetensors": {}, "b-01.safetensors": {}},
            r"^key: step 1 twice: .*a-1\.\w+ and .*b-01\.\w+; leave",
        ),
        (
            {"step-5.safetensors": {"step": "6"}},
            r"^key: the step of .* is 6 in step-5\.safetensors, 5 in the name; re",
        ),
        (
            {"a.safetensors": {"step": "soon"}},
            r"^key: .*a\.safetensors: its step is 'soon'; it must be a whole",
        ),
        ({"step-5.safetensors": b"damaged"}, r"^key: .*step-5\.safetensors: damaged or no safetensors file"),
        ({"step-5.safetensors": b"\0" * 9}, r"damaged or no safetensors file"),
        ({"step-5.pt": b"damaged"}, r"^key: weights .*step-5\.pt: not a file of torch\.save"),
        ({"step-5.txt": b"-"}, r"^key: weights .*step-5\.txt: \.txt suffix is unknown"),
        ({"step-5.ckpt": {"global_step": 7}}, r"is 7 in step-5\.ckpt, 5 in the name"),
        (
            {"step-5.ckpt": {"global_step": 5, "hyper": Evil()}},
            r"^key: weights .*step-5\.ckpt: refused, since it holds",
        ),
        ({"checkpoint-5/": {}}, r"^key: .*checkpoint-5: no model\.safetensors or .* in this folder"),
        ({"checkpoint-5/": {"trainer": 8}}, r"is 8 in trainer_state\.json, 5 in the name"),
        ({"checkpoint-5/": {"trainer": None}}, r"^key: .*trainer_state\.json has no global_step"),
    ],
)
def test_what_is_refused(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif name.endswith("/"):
            path.mkdir()
            if content:
                trainer(path, content["trainer"])
        elif name.endswith(".ckpt"):
            lightning(path, **content)
        else:
            safetensors(path, **content)
    with pytest.raises(BequeathError, match=message) as caught:
        checkpoint_series(str(folder / "*"), "key")
    assert "\n" not in str(caught.value)


def test_lists(tmp_path: Path) -> None:
    with pytest.raises(BequeathError, match=r"^key: the list is empty"):
        checkpoint_series([], "key")
    with pytest.raises(BequeathError, match=r"^key: no such file: .*step-3\.pt"):
        checkpoint_series([tmp_path / "step-3.pt"], "key")


@pytest.mark.parametrize("name", ["exp [v2]", "a*b", "what?", "[!x]", "run [1-3]"])
def test_folders_with_pattern_characters_in_their_names(tmp_path: Path, name: str) -> None:
    for step in (1, 2):
        safetensors(tmp_path / name / f"step-{step}.safetensors")
        safetensors(
            tmp_path / "exp v" / f"step-{step + 5}.safetensors"
        )  # what the names would match as patterns
    assert steps(checkpoint_series(str(tmp_path / name / "step-*.safetensors"), "here")) == [1, 2]
    assert steps(checkpoint_series(str(tmp_path / "*" / "step-[2-6].safetensors"), "here")) == [2, 6]
    assert steps(checkpoint_series(str(tmp_path / "**" / name / "*-[12].*"), "here")) == [1, 2]


def test_a_file_with_pattern_characters_in_its_name(tmp_path: Path) -> None:
    safetensors(tmp_path / "step-3[best].safetensors")
    safetensors(tmp_path / "step-3b.safetensors")
    ((_, step, path),) = checkpoint_series(str(tmp_path / "step-3[best].safetensors"), "here")
    assert (step, path.name) == (3, "step-3[best].safetensors")


def test_a_cut_off_series_stays_out_of_a_glob(tmp_path: Path) -> None:
    safetensors(tmp_path / "step-1.safetensors")
    (tmp_path / "step-2.safetensors.abc.partial").write_bytes(b"cut")
    assert steps(checkpoint_series(str(tmp_path / "step-*"), "here")) == [1]
