"""
Your own training: when is the final knowledge reached?
=======================================================

A network that can read handwritten digits learns a new task from few examples: is the digit odd or even? Beside it, the
same network learns the task from scratch. ``Checkpoints`` saves both along their training. A study of the checkpoints
says how fast each run gets to its final knowledge, and what of the digits is left.
"""

# %%
# Data as files
# -------------
# A study reads files. These are scikit-learn's digits, 8 x 8 pixels each, as tables of numbers.

from pathlib import Path
from tempfile import mkdtemp

import torch
import yaml
from safetensors.torch import save_file
from sklearn.datasets import load_digits

import bequeath as bq
from bequeath.models import mlp
from bequeath.training import Checkpoints

folder = Path(mkdtemp())
digits = load_digits(as_frame=True)
pixels = list(digits.data.columns)
table = digits.data / 16
table["parity"] = digits.target.map(lambda digit: ("even", "odd")[digit % 2])
table[1000:1200].to_csv(folder / "train.csv", index=False)
table[1200:].to_csv(folder / "val.csv", index=False)

# %%
# Pre-training on ten digits, then two runs
# -----------------------------------------


def tensors(rows, target):
    return torch.tensor(rows[pixels].values, dtype=torch.float32), torch.tensor(target.values)


def train(model, x, y, steps, rate, checkpoints=None):
    """Adam on batches of 32; a checkpoint where one is wanted."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    order = torch.Generator().manual_seed(0)
    if checkpoints:
        checkpoints.begin(model, last=steps)
    for step in range(1, steps + 1):
        batch = torch.randint(len(x), (32,), generator=order)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
        if checkpoints:
            checkpoints.after(model, step)
    if checkpoints:
        checkpoints.end()


torch.manual_seed(0)
reader = mlp(10, num_features=64)
train(reader, *tensors(table[:1000], digits.target[:1000]), steps=600, rate=1e-3)
save_file(reader.state_dict(), folder / "reader.safetensors")

few = tensors(table[1000:1200], digits.target[1000:1200] % 2)
for name, rate in {"finetuned": 1e-3, "scratch": 1e-3}.items():
    model = mlp(2, num_features=64)
    if name == "finetuned":
        model.body.load_state_dict(reader.body.state_dict())
    to = Checkpoints(
        folder / name, architecture="bequeath:mlp", options={"num_features": 64}, count=4, first=10
    )
    train(model, *few, steps=300, rate=rate, checkpoints=to)
print(sorted(path.name for path in (folder / "finetuned").glob("*.safetensors")))

# %%
# ``Checkpoints`` chose log-spaced steps, because knowledge changes fast at first. transformers' ``Trainer`` and
# Lightning have callbacks that do the same: :doc:`../own-training`.
#
# The study
# ---------
# A folder that ``Checkpoints`` wrote stands for its model. The reader of digits gets a linear probe for the new task.
# The players are 16 cells of 2 x 2 pixels.

study = {
    "models": {
        "pretrained": {
            "architecture": "bequeath:mlp",
            "options": {"num_features": 64},
            "weights": "reader.safetensors",
            "probe": True,
        },
        "finetuned": "finetuned",
        "scratch": "scratch",
    },
    "data": {
        "kind": "table",
        "path": "val.csv",
        "train": "train.csv",
        "label": "parity",
        "standardise": False,
    },
    "players": {
        "kind": "columns",
        "groups": {
            f"row{row} col{col}": [f"pixel_{2 * row + i}_{2 * col + j}" for i in (0, 1) for j in (0, 1)]
            for row in range(4)
            for col in range(4)
        },
    },
    "baseline": "dataset_mean",
    "masks": 128,
    "decomposition": {"kind": "sparse", "order": 2},
    "samples": 12,
    "accuracy_samples": 200,
}
(folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
run = bq.Study.from_yaml(folder / "study.yaml").run(folder / "run")
run

# %%
# ``bequeath run study.yaml --out run`` does the same. ``run.report()`` writes the whole page.
#
# How fast
# --------
# Each point compares a checkpoint with the last one of its own run: 0 is chance, 1 is as much as two readings of the
# last checkpoint have in common.

bq.plots.courses(run)
