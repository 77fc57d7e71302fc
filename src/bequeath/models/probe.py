"""Linear probes: classifiers on the features of a frozen backbone."""

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
    """Load pre-trained weights for all but the head, for any number of classes they were trained on.

    The weights may also lack layers before the head, such as the dense layer of RoBERTa's or DistilBERT's classifier.
    These keep random weights, the same on every load, and a warning says so. A distilled vision transformer, which
    averages two heads, gets one head on the mean of their inputs.

    Parameters
    ----------
    architecture, weights, num_classes, modality, **kwargs
        As for `bequeath.models.load_model`: a file, a folder, or "hub".
    head : str, optional
        Path of the last layer; by default the one that `find_head` returns.
    weights_key : str, optional
        Which of several sets of weights in a file, as for `read_state`.

    Returns
    -------
    model : nn.Module
        In eval mode, on the CPU. Its head has random weights, to be replaced by `with_probe` or trained.
    head : str
        Path of the head.

    Raises
    ------
    BequeathError
        If the weights cannot be read or do not fit, the head is no linear layer, or it is a language model.

    Examples
    --------
    >>> backbone, head = load_backbone("timm:resnet18", "resnet18.safetensors", 10, "image")
    >>> weight, bias = fit_probe(features(backbone, head, images), labels, seed=0)
    >>> classifier = with_probe(backbone, head, weight, bias)
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
    """Load a backbone as `load_backbone` does, and the head that the weights came with.

    Parameters
    ----------
    architecture, weights, num_classes, modality, head, weights_key, **kwargs
        As for `load_backbone`.

    Returns
    -------
    model, head : nn.Module, str
        As `load_backbone` returns them.
    source : tuple of Tensor or None
        Weight (source classes, features) and bias (source classes,), so that the logits of the source classes are
        features @ weight.T + bias. None if the weights have no such head, or the model averages two heads.

    Raises
    ------
    BequeathError
        As `load_backbone` does.
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
    """Compute the input of the head, for each sample.

    Parameters
    ----------
    backbone : nn.Module
        Run in eval mode, on its device.
    head : str
        Path of its last linear layer.
    inputs : Tensor, mapping of str to Tensor, or iterable of these
        All samples, or an iterable of batches.
    batch_size : int
        Samples in a batch, if `inputs` holds all samples.

    Returns
    -------
    ndarray
        float32, shape (samples, features).

    Raises
    ------
    BequeathError
        If the head is not called once with (batch, features), or there are no inputs.

    Examples
    --------
    >>> features(mlp(num_classes=3, num_features=4, widths=(8,)), "head", torch.randn(5, 4)).shape
    (5, 8)
    """
    head_inputs: list[Tensor] = []
    out = []
    layer = _linear(backbone, head)
    handle = layer.register_forward_pre_hook(lambda module, args: head_inputs.append(args[0]))
    in_eval_mode(backbone)
    try:
        with torch.inference_mode():
            for batch in _batches(inputs, batch_size):
                head_inputs.clear()
                device = layer.weight.device
                if isinstance(batch, Mapping):
                    call(backbone, {name: value.to(device) for name, value in batch.items()})
                else:
                    call(backbone, batch.to(device))
                if len(head_inputs) != 1 or head_inputs[0].ndim != 2:
                    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in head_inputs)
                    called = f"called with {shapes}" if shapes else "never called"
                    raise BequeathError(
                        f"head {head!r} of {type(backbone).__name__}: {called}; a probe needs "
                        "one call with (batch, features)"
                    )
                out.append(head_inputs[0].float().cpu().numpy())
    finally:
        handle.remove()
    if not out:
        raise BequeathError("features: no inputs given; a probe needs at least two samples of each class")
    return np.concatenate(out)


def fit_probe(
    features: NDArray[Any], labels: Sequence[int] | NDArray[Any], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a multinomial logistic regression on standardised features; cross-validation chooses its L2 strength.

    Parameters
    ----------
    features : ndarray
        Shape (samples, features).
    labels : sequence of int
        0 .. classes - 1, each at least twice.
    seed : int
        Decides the folds of the cross-validation.

    Returns
    -------
    weight, bias : ndarray
        float64, shapes (classes, features) and (classes,), for features that are not standardised:
        logits = features @ weight.T + bias.

    Raises
    ------
    BequeathError
        If shapes do not fit, a feature is not finite, or a class has fewer than two samples.

    Examples
    --------
    >>> weight, bias = fit_probe(np.array([[0.0], [1.0], [10.0], [11.0]]), [0, 0, 1, 1], seed=0)
    >>> weight.shape, bias.shape
    ((2, 1), (2,))
    """
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or y.shape != (len(x),) or not len(x):
        raise BequeathError(
            f"probe: features {x.shape} and labels {y.shape} must be (samples, features) and (samples,)"
        )
    if y.dtype.kind not in "iu" or y.min() < 0:
        raise BequeathError("probe: labels must be integers, counted from 0; give class indices")
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise BequeathError(
            f"probe: features of sample {bad[0]} are not finite; check the backbone's weights"
        )
    counts = np.bincount(y)
    if counts.min() < 2 or len(counts) < 2:
        raise BequeathError(
            f"probe: class {counts.argmin()} has {counts.min()} of {len(y)} samples, {len(counts)} "
            "class(es); a probe needs at least two classes with two samples each: give more training samples"
        )
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed)
    regression = LogisticRegressionCV(Cs=STRENGTHS, cv=folds, max_iter=200, scoring="neg_log_loss")
    scaler = StandardScaler()
    # The solver computes many small products, for which BLAS threads wait for each other: on a busy machine several
    # threads are over ten times slower than one.
    with threadpool_limits(1), warnings.catch_warnings():
        # scikit-learn 1.8 announces new defaults that give the same fit; older versions lack those arguments.
        warnings.simplefilter("ignore", FutureWarning)
        make_pipeline(scaler, regression).fit(x, y)
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if len(weight) == 1:
        # For two classes there is one row, the log-odds of class 1. Split it evenly between both classes' logits.
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def with_probe(
    backbone: nn.Module, head: str, weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> nn.Module:
    """Copy a backbone, with the probe as its head.

    Parameters
    ----------
    backbone : nn.Module
        Left as it is.
    head : str
        Path of the linear layer to replace, such as ``"classifier.1"``.
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

    Examples
    --------
    >>> classifier = with_probe(mobilenet_v2(10), "classifier.1", np.zeros((3, 1280)), np.zeros(3))
    >>> classifier(torch.randn(2, 3, 64, 64)).shape
    torch.Size([2, 3])
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
        problem = f"is a {type(layer).__name__}" if layer is not None else "does not exist"
        raise BequeathError(
            f"head {head!r} of {type(model).__name__}: {problem}; give the path of an nn.Linear in the model"
        )
    return layer


def _batches(inputs: Inputs | Iterable[Inputs], size: int) -> Iterator[Inputs]:
    if isinstance(inputs, Tensor):
        yield from torch.split(inputs, size)
    elif isinstance(inputs, Mapping):
        parts = {name: torch.split(value, size) for name, value in inputs.items()}
        for batch in zip(*parts.values(), strict=True):
            yield dict(zip(parts, batch, strict=True))
    else:
        yield from inputs
