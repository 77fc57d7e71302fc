"""Linear probes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_models import TinyNet
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.models import features, find_head, fit_probe, load_backbone, mobilenet_v2, with_probe
from bequeath.models.probe import load_with_source_head


def data(classes: int, n: int = 60, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % classes
    centres = rng.normal(size=(classes, width))
    x = 3 + rng.normal(size=(n, width)) * np.geomspace(0.1, 50, width) + centres[y]
    x[:, 0] = 1.5  # a constant feature
    return x, y


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("width", [5, 100])
@pytest.mark.parametrize("classes", [2, 3])
def test_probe_is_the_pipeline_folded(classes: int, width: int) -> None:
    x, y = data(classes, width=width)
    weight, bias = fit_probe(x, y, seed=4)
    assert (weight.shape, bias.shape) == ((classes, width), (classes,))
    pipeline = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=[1e-4, 1e-3, 1e-2, 1e-1],
            cv=StratifiedKFold(4, shuffle=True, random_state=4),
            max_iter=200,
            scoring="neg_log_loss",
        ),
    ).fit(x, y)
    ours = torch.softmax(torch.from_numpy(x @ weight.T + bias), dim=1).numpy()
    np.testing.assert_allclose(ours, pipeline.predict_proba(x), atol=1e-6)


def test_probe_is_silent_repeatable_and_takes_small_classes(recwarn: pytest.WarningsRecorder) -> None:
    x, y = data(3)
    keep = np.concatenate([np.flatnonzero(y == 0)[:2], np.flatnonzero(y > 0)])
    first = fit_probe(x[keep].astype(np.float32), y[keep], seed=0)
    again = fit_probe(x[keep].astype(np.float32), list(y[keep]), seed=0)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not [w for w in recwarn if issubclass(w.category, FutureWarning)]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((4, 2)), [0, 1, 0], r"probe: features \(4, 2\) and labels \(3,\) must be"),
        (np.ones(4), [0, 1, 0, 1], r"probe: features \(4,\)"),
        (np.ones((2, 2)), [0.0, 1.0], "labels must be integers"),
        (np.ones((2, 2)), [-1, 1], "labels must be integers, counted from 0"),
        (np.array([[1.0], [np.nan]]), [0, 1], "features of sample 1 are not finite"),
        (np.ones((5, 2)), [0, 0, 1, 2, 2], r"class 1 has 1 of 5 samples"),
        (np.ones((4, 2)), [0, 0, 2, 2], r"class 1 has 0 of 4 samples"),
        (np.ones((4, 2)), [0, 0, 0, 0], r"1 class\(es\)"),
    ],
)
def test_probe_refuses(x: np.ndarray, y: list, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        fit_probe(x, y, seed=0)


def test_features_are_the_heads_inputs(tiny: TinyNet, images: Tensor) -> None:
    with torch.inference_mode():
        expected = tiny.bn(tiny.conv(images)).relu().mean((2, 3)).numpy()
    for inputs in (images, {"x": images}, [images[:2], images[2:]], iter([{"x": images}])):
        found = features(tiny, "fc", inputs, batch_size=2)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not tiny.fc._forward_pre_hooks


def test_the_head_that_weights_came_with_gives_the_models_own_logits(tmp_path: Path, images: Tensor) -> None:
    saved = TinyNet(5).eval()
    torch.save(saved.state_dict(), tmp_path / "w.pt")
    model, head, source = load_with_source_head("tiny_models:TinyNet", tmp_path / "w.pt", 3, "image")
    assert source is not None
    weight, bias = source
    found = features(model, head, images) @ weight.numpy().T + bias.numpy()
    with torch.inference_mode():
        np.testing.assert_allclose(found, saved(images).numpy(), rtol=1e-5, atol=1e-6)


def test_weights_without_a_head_come_with_none(tmp_path: Path) -> None:
    state = {name: value for name, value in TinyNet(5).state_dict().items() if not name.startswith("fc.")}
    torch.save(state, tmp_path / "w.pt")
    assert load_with_source_head("tiny_models:TinyNet", tmp_path / "w.pt", 3, "image")[2] is None


def test_with_probe_puts_it_in_a_copy(tiny: TinyNet, images: Tensor) -> None:
    weight, bias = np.random.default_rng(0).normal(size=(7, 4)), np.arange(7.0)
    before = tiny.fc.weight.clone()
    model = with_probe(tiny, "fc", weight, bias)
    with torch.inference_mode():
        given = model(images).numpy()
    np.testing.assert_allclose(given, features(tiny, "fc", images) @ weight.T + bias, rtol=1e-5, atol=1e-5)
    assert torch.equal(tiny.fc.weight, before)
    assert not model.training


def test_with_probe_in_a_sequential() -> None:
    model = with_probe(
        mobilenet_v2(3), find_head(mobilenet_v2(3)), np.zeros((2, 1280)), np.array([1.0, -1.0])
    )
    assert model(torch.zeros(1, 3, 32, 32)).tolist() == [[1, -1]]


def test_find_head() -> None:
    assert find_head(mobilenet_v2(3)) == "classifier.1"
    assert find_head(TinyNet()) == "fc"
    with pytest.raises(BequeathError, match=r"model Conv2d: it holds no nn\.Linear"):
        find_head(nn.Conv2d(1, 1, 1))
    with pytest.raises(BequeathError, match=r"model Linear: it holds no nn\.Linear"):
        find_head(nn.Linear(1, 1))


def test_find_head_of_transformers_is_the_classifier(transformers: ModuleType) -> None:
    config = transformers.DistilBertConfig(vocab_size=9, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    assert find_head(transformers.DistilBertForSequenceClassification(config)) == "classifier"


def test_wrong_heads_are_named(tiny: TinyNet, images: Tensor) -> None:
    with pytest.raises(BequeathError, match="head 'conv' of TinyNet: is a Conv2d; give the path"):
        features(tiny, "conv", images)
    with pytest.raises(BequeathError, match="head 'head' of TinyNet: does not exist"):
        with_probe(tiny, "head", np.zeros((2, 4)), np.zeros(2))
    with pytest.raises(
        BequeathError, match=r"takes 4 features, the probe has weight \(2, 5\) and bias \(2,\)"
    ):
        with_probe(tiny, "fc", np.zeros((2, 5)), np.zeros(2))
    with pytest.raises(BequeathError, match="features: no inputs"):
        features(tiny, "fc", [])
    tokens = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(
        BequeathError, match=r"head '0' of Sequential: called with \(4, 3, 2\); a probe needs one call"
    ):
        features(tokens, "0", torch.ones(4, 3, 2))


def test_load_backbone_takes_any_number_of_classes(tmp_path: Path, images: Tensor) -> None:
    saved = TinyNet(1000).eval()
    torch.save(saved.state_dict(), tmp_path / "w.pt")
    model, head = load_backbone("tiny_models:TinyNet", tmp_path / "w.pt", 3, "image")
    assert head == "fc"
    assert model.fc.out_features == 3
    assert not model.training
    np.testing.assert_array_equal(features(model, head, images), features(saved, "fc", images))
