"""Linear probes: what a frozen backbone's features say about the classes, as a classifier."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, Modality, call, in_eval_mode
from bequeath.models.heads import JoinedHeads, find_head, find_heads, replace_submodule
from bequeath.models.weights import load_body, seeded_build

__all__ = ["features", "find_head", "fit_probe", "load_backbone", "load_with_source_head", "with_probe"]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
FOLDS = 4


def load_backbone(
    architecture: str,
    weights: str | Path,
    num_classes: int,
    modality: Modality,
    head: str | None = None,
    *,
    weights_key: str | None = None,
    **kwargs: Any,
) -> tuple[nn.Module, str]:
    """Load pre-trained weights for all but the head, whatever number of classes they were trained on.

    Where the weights also lack layers before the head (the dense layer of RoBERTa's or DistilBERT's classifier in
    a base model), those keep a random start, the same on every load, and a warning says so. A distilled vision
    transformer, which gives the mean of two heads, gets one head on the mean of their inputs.

    Parameters
    ----------
    architecture, weights, num_classes, modality, **kwargs
        As for `bequeath.models.load_model`: a file, a folder, or "hub".
    head : str, optional
        Path of the last layer; by default `find_head`'s.
    weights_key : str, optional
        Which of several sets of weights in a file, as for `read_state`.

    Returns
    -------
    model, head : nn.Module, str
        In eval mode, on the CPU; its head is at a random start, to be replaced by `with_probe` or trained.
    """
    model, path, _ = load_with_source_head(
        architecture, weights, num_classes, modality, head, weights_key=weights_key, **kwargs
    )
    return model, path


def load_with_source_head(
    architecture: str,
    weights: str | Path,
    num_classes: int,
    modality: Modality,
    head: str | None = None,
    *,
    weights_key: str | None = None,
    **kwargs: Any,
) -> tuple[nn.Module, str, tuple[Tensor, Tensor] | None]:
    """As `load_backbone`, and the head that the weights came with.

    Returns
    -------
    model, head : nn.Module, str
        As `load_backbone` gives them.
    source : tuple of Tensor or None
        Weight (source classes, features) and bias (source classes,), so that the logits of the source classes are
        features @ weight.T + bias. None where the weights have no such head, or two whose mean the model gives.
    """
    if architecture.startswith("transformers-causal-lm:"):
        raise BequeathError(
            f"architecture {architecture!r}: a language model's head is its vocabulary; for a probe give "
            f"transformers:{architecture.partition(':')[2]}"
        )
    model, state, place = seeded_build(architecture, weights, num_classes, modality, kwargs, weights_key)
    heads = (head,) if head else find_heads(model)
    for path in heads:
        _linear(model, path)
    load_body(model, state, place, heads, keep_heads=False)
    if len(heads) > 1:
        return in_eval_mode(JoinedHeads(model, heads).cpu()), "head", None
    source = _source_head(state, heads[0], _linear(model, heads[0]).in_features)
    return in_eval_mode(model.cpu()), heads[0], source


def _source_head(state: Mapping[str, Tensor], head: str, width: int) -> tuple[Tensor, Tensor] | None:
    weight, bias = state.get(f"{head}.weight"), state.get(f"{head}.bias")
    if weight is None or weight.ndim != 2 or weight.shape[1] != width:
        return None
    if bias is None:
        bias = torch.zeros(len(weight))
    return (weight.float(), bias.float()) if bias.shape == (len(weight),) else None


def features(
    backbone: nn.Module, head: str, inputs: Inputs | Iterable[Inputs], batch_size: int = 64
) -> NDArray[np.float32]:
    """What the head is given, for each input.

    Parameters
    ----------
    backbone : nn.Module
        Run in eval mode, on its device.
    head : str
        Path of its last linear layer.
    inputs : Tensor, mapping of str to Tensor, or iterable of these
        All inputs, cut into batches here; or batch after batch.
    batch_size : int
        For inputs that are cut here.

    Returns
    -------
    ndarray
        float32, shape (inputs, features).

    Raises
    ------
    BequeathError
        If the head is not called once with (batch, features), or there are no inputs.
    """
    seen: list[Tensor] = []
    out = []
    layer = _linear(backbone, head)
    handle = layer.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    in_eval_mode(backbone)
    try:
        with torch.inference_mode():
            for block in _batches(inputs, batch_size):
                seen.clear()
                device = layer.weight.device
                if isinstance(block, Mapping):
                    call(backbone, {name: value.to(device) for name, value in block.items()})
                else:
                    call(backbone, block.to(device))
                if len(seen) != 1 or seen[0].ndim != 2:
                    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in seen) or "never"
                    raise BequeathError(
                        f"head {head!r} of {type(backbone).__name__}: called with {shapes}; a probe needs "
                        "one call with (batch, features)"
                    )
                out.append(seen[0].float().cpu().numpy())
    finally:
        handle.remove()
    if not out:
        raise BequeathError("features: no inputs given; a probe needs at least two samples of each class")
    return np.concatenate(out)


def fit_probe(
    features: NDArray[Any], labels: Sequence[int] | NDArray[Any], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multinomial logistic regression on standardised features, its L2 strength chosen by cross-validation.

    Parameters
    ----------
    features : ndarray
        Shape (samples, features).
    labels : sequence of int
        0 .. classes - 1, each at least twice.
    seed : int
        Decides the folds.

    Returns
    -------
    weight, bias : ndarray
        float64, shapes (classes, features) and (classes,), for the features as they were given:
        logits = features @ weight.T + bias.

    Raises
    ------
    BequeathError
        If shapes do not fit, a feature is not finite, or a class has fewer than two samples.
    """
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or y.shape != (len(x),) or not len(x):
        raise BequeathError(
            f"probe: features {x.shape} and labels {y.shape} must be (samples, features) and (samples,)"
        )
    if y.dtype.kind not in "iu" or y.min() < 0:
        raise BequeathError("probe: labels must be integers from 0 on")
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise BequeathError(
            f"probe: features of sample {bad[0]} are not finite; check the backbone's weights"
        )
    counts = np.bincount(y)
    if counts.min() < 2 or len(counts) < 2:
        raise BequeathError(
            f"probe: class {counts.argmin()} has {counts.min()} of {len(y)} samples, {len(counts)} "
            "class(es); two classes with two samples each are the least: give more training samples"
        )
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed)
    regression = LogisticRegressionCV(Cs=STRENGTHS, cv=folds, max_iter=200, scoring="neg_log_loss")
    scaler = StandardScaler()
    # In the solver's many small products BLAS threads wait for each other: on busy machines over ten times
    # slower than one thread.
    with threadpool_limits(1), warnings.catch_warnings():
        # scikit-learn 1.8 announces new defaults, which give the same fit; older ones lack those arguments.
        warnings.simplefilter("ignore", FutureWarning)
        make_pipeline(scaler, regression).fit(x, y)
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if len(weight) == 1:
        # For two classes there is one row, the log-odds of class 1: half for it and half against class 0.
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def with_probe(
    backbone: nn.Module, head: str, weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> nn.Module:
    """A copy of the backbone with the probe as its head.

    Parameters
    ----------
    backbone : nn.Module
        Left as it is.
    head : str
        Path of the linear layer to be replaced, such as ``"classifier.1"``.
    weight, bias : ndarray
        From `fit_probe`: shapes (classes, features) and (classes,).

    Returns
    -------
    nn.Module
        In eval mode; the new head has the old one's dtype and device.

    Raises
    ------
    BequeathError
        If there is no linear layer at `head`, or it has another number of features.
    """
    model = in_eval_mode(copy.deepcopy(backbone))
    old = _linear(model, head)
    classes, width = weight.shape
    if width != old.in_features or bias.shape != (classes,):
        raise BequeathError(
            f"head {head!r} of {type(model).__name__}: takes {old.in_features} features, the probe has "
            f"weight {weight.shape} and bias {bias.shape}; fit it on this head's inputs"
        )
    new = nn.Linear(width, classes, device=old.weight.device, dtype=old.weight.dtype)
    with torch.no_grad():
        new.weight.copy_(torch.from_numpy(weight))
        new.bias.copy_(torch.from_numpy(bias))
    replace_submodule(model, head, new.eval())
    return model


def _linear(model: nn.Module, head: str) -> nn.Linear:
    try:
        layer = model.get_submodule(head) if head else model
    except AttributeError:
        layer = None
    if not isinstance(layer, nn.Linear) or not head:
        what = f"is a {type(layer).__name__}" if layer is not None else "does not exist"
        raise BequeathError(
            f"head {head!r} of {type(model).__name__}: {what}; give the path of an nn.Linear in the model"
        )
    return layer


def _batches(inputs: Inputs | Iterable[Inputs], size: int) -> Iterator[Inputs]:
    if isinstance(inputs, Tensor):
        yield from torch.split(inputs, size)
    elif isinstance(inputs, Mapping):
        parts = {name: torch.split(value, size) for name, value in inputs.items()}
        for block in zip(*parts.values(), strict=True):
            yield dict(zip(parts, block, strict=True))
    else:
        yield from inputs
