"""
Tables: a new instrument, and what a model keeps
================================================

A small network tells malignant tumours from benign ones by ten measurements of cells under a microscope (scikit-learn's
breast cancer data). Then the laboratory gets a new microscope. Its magnification is not recorded, so that the cells'
radius, perimeter and area mean nothing any more. The network is fine-tuned on the new data. Which of its knowledge does
it keep? And what does a network find that has seen the new data alone?
"""

# %%
# Three models
# ------------
# The data have three columns for each measurement: its mean, its error and its worst value. They are one player.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import bequeath as bq

data = load_breast_cancer()
rows = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
labels = torch.tensor(data.target)
columns = [str(name) for name in data.feature_names]
measurements = {
    name.removeprefix("mean "): [f"mean {name[5:]}", f"{name[5:]} error", f"worst {name[5:]}"]
    for name in columns[:10]
}

chance = np.random.default_rng(0)
new_rows = rows.clone()
SIZE = ("radius", "perimeter", "area")
for measurement in SIZE:
    for column in measurements[measurement]:
        i = columns.index(column)
        new_rows[:, i] = torch.tensor(chance.permutation(rows[:, i]))
train, held_out = np.split(chance.permutation(len(rows)), [400])


def network(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(30, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))


def fitted(model, inputs, steps, rate):
    """The model after so many steps of Adam on all training rows."""
    optimizer = torch.optim.Adam(model.parameters(), rate, weight_decay=1e-4)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs[train]), labels[train]).backward()
        optimizer.step()
    return model.eval()


before = fitted(network(0), rows, 200, 1e-2)
after = network(0)
after.load_state_dict(before.state_dict())
fitted(after, new_rows, 100, 3e-3)
control = fitted(network(1), new_rows, 200, 1e-2)

for name, model in {"before": before, "after": after, "control": control}.items():
    right = (model(new_rows[held_out]).argmax(1) == labels[held_out]).float().mean()
    print(f"{name}: {right:.0%} of {len(held_out)} held-out tumours are right under the new microscope")

# %%
# Each model as a game
# --------------------
# The players are the ten measurements. A hidden measurement takes its mean over the training data. The value is the
# log-odds of the true class. All :math:`2^{10} = 1024` masks could be evaluated; 256 will do.

samples = held_out[:24]
players = bq.players.columns(columns, groups=measurements)
baseline = bq.baselines.dataset_mean(new_rows[train])


def explained(model):
    games = [
        bq.Game(model, new_rows[i], players, baseline, bq.values.log_odds(int(labels[i]))) for i in samples
    ]
    return bq.explain(games, masks=256, order=3)


readings = {
    name: explained(model) for name, model in {"before": before, "after": after, "control": control}.items()
}
for name, reading in readings.items():
    print(f"{name}: R2 {reading.r2.mean():.2f} on masks that were left out")
# %%
# R2 says how much of the variation over left-out masks the interactions predict: 1 is all of it, 0 is none. Only what
# is predicted is compared below.
#
# What is shared
# --------------

comparison = bq.compare(**readings, labels=[int(labels[i]) for i in samples])
comparison

# %%
# ``preserved`` is what the network kept, and ``relearned`` (R) is how much of that the network trained on the new data
# alone finds too. Both are corrected: 0% is what unrelated samples share (**by chance**), 100% is what two readings of
# one model share (**same model again**). The brackets are 95% intervals over samples.

comparison.plot()

# %%
# Where was knowledge lost?
# -------------------------
# Each interaction is counted for all of its measurements. The size measurements should have lost most, since they mean
# nothing under the new microscope. This checks the method: here we know what should come out.

kept = {}
for player, name in enumerate(comparison.players):
    concerned = [i for i in range(len(comparison.orders)) if player in comparison.members(i)]
    before = comparison.values["before"].abs()[..., concerned].sum()
    kept[name] = float(comparison.preserved[..., concerned].sum() / before)

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.barh(list(kept), list(kept.values()), color=["C3" if name in SIZE else "C0" for name in kept])
axes.invert_yaxis()
axes.set(xlabel="observed preserved share of interactions with this measurement", xlim=(0, 1))

# %%
# The red bars are the measurements that lost their meaning. These bars are observed shares without floor and ceiling:
# they may be compared with each other, and not with the corrected shares above.
