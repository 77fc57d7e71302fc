"""
Pictures: what is left of ImageNet after fine-tuning
====================================================

MobileNetV2, pre-trained on ImageNet, learns to tell clothes apart (Fashion-MNIST). Two models are compared: the
pre-trained network under a linear probe, and the fine-tuned one. Everything is small here, so that the page runs in
seconds. ``bequeath demo`` does the same at a useful size, with a third model that is trained from scratch.
"""

# %%
# Two models
# ------------

import torch

import bequeath as bq
from bequeath.data.demo import fashion_mnist
from bequeath.models import features, fit_probe, imagenet_state, mobilenet_v2, with_probe

train, held_out = fashion_mnist(size=48)
pictures = torch.stack([train[i].x for i in range(200)])
labels = torch.tensor(train.labels[:200])


def pretrained():
    torch.manual_seed(0)
    model = mobilenet_v2(num_classes=10)
    backbone = {
        name: weight for name, weight in imagenet_state().items() if not name.startswith("classifier")
    }
    model.load_state_dict(model.state_dict() | backbone)
    return model


def trained(model, rate, steps=40):
    """The model after so many steps of Adam, 16 pictures each."""
    optimizer = torch.optim.AdamW(model.train().parameters(), rate)
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        batch = torch.randint(200, (16,), generator=order)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(pictures[batch]), labels[batch]).backward()
        optimizer.step()
    return model.eval()


weight, bias = fit_probe(features(pretrained(), "classifier.1", pictures), train.labels[:200], seed=0)
models = {
    "before": with_probe(pretrained(), "classifier.1", weight, bias),
    "after": trained(pretrained(), rate=5e-4),
}

# %%
# How good are they? A model that is no better than naming the largest class has nothing to be read. Here each of the
# ten classes has one tenth of the pictures.

tested = torch.stack([held_out[i].x for i in range(200)])
for name, model in models.items():
    with torch.inference_mode():
        right = model(tested).argmax(1) == torch.tensor(held_out.labels[:200])
    print(f"{name:8} {right.float().mean():.0%} of 200 held-out pictures are right")

# %%
# Each model as a game
# --------------------
# The players are nine cells of the picture. A hidden cell becomes the picture's mean colour. The value is the log-odds
# of the true class. Half of the 512 masks are evaluated, the same ones for all models and pictures.

samples = range(16)
players = bq.players.grid(3, 3)
readings = {
    name: bq.explain(
        [
            bq.Game(
                model, held_out[i].x, players, bq.baselines.mean(), bq.values.log_odds(held_out.labels[i])
            )
            for i in samples
        ],
        masks=256,
        order=3,
    )
    for name, model in models.items()
}
for name, reading in readings.items():
    print(f"{name:8} R2 {reading.r2.mean():.2f} on masks that were left out")
# %%
# **R2** says how much of the variation over left-out masks the interactions predict: 1 is all, 0 is none. What is not
# predicted is in no share below.
#
# These are the strongest interactions of one picture. An **AND** interaction has its effect when all of its cells are
# shown, an **OR** interaction when any is. The effect is in units of the value, here log-odds.

bq.plots.on_image(readings["after"][0], held_out[0].x, players)

# %%
# A single interaction is often uncertain; its standard error says how much.

readings["after"][0]

# %%
# What is shared
# --------------
# The comparison looks at all interactions of all pictures at once.

comparison = bq.compare(**readings, labels=[held_out.labels[i] for i in samples])
comparison

# %%
# How to read a row:
#
# - **observed**: the share as it is counted. It means little alone, because it has no natural zero and no natural one.
# - **by chance** (the floor): the same count with interactions of other pictures.
# - **same model again** (the ceiling): the same count for two readings of one model, from two halves of the masks.
# - **corrected**: the way from floor to ceiling, with its 95% interval over pictures. 0% is chance, 100% is as much as
#   one model has in common with itself. This is the number to quote, with its interval.
# - **p**: how rarely pictures in another order share as much.
#
# ``new`` and ``discarded`` are what is left over, on the same scale.

comparison.plot()

# %%
# **What does it say?** Of what can be read of the pre-trained network, the fine-tuned one still has the part named
# ``preserved``. It says this for sixteen pictures, nine cells and one training run. Other cells, other baselines and
# other seeds give other shares (:doc:`../faq`).
