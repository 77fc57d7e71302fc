"""Each baseline against each kind of players: the right numbers, or the error that names what fits."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tiny_texts import tiny, wordpiece
from torch import nn

import bequeath as bq
from bequeath.games.from_layer import output_at

torch.manual_seed(0)
IMAGE, ROW = torch.randn(3, 12, 10), torch.randn(5)
IMAGES, ROWS = torch.randn(7, 3, 12, 10), torch.randn(9, 5)
NET = nn.Sequential(
    nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
).eval()
PLAYERS = {
    "image": (bq.players.grid(2, 2), IMAGE),
    "column": (bq.players.columns(), ROW),
    "feature-map": (bq.players.positions("0", 2, 2), IMAGE),
}


def features(images):
    with torch.inference_mode():
        return output_at(NET, "0", images)


def blurred(sigma):
    planes = [gaussian_filter(plane.double().numpy(), sigma, mode="nearest") for plane in IMAGE]
    return torch.from_numpy(np.stack(planes)).float()


ONE = torch.arange(3.0).view(3, 1, 1)
FITTING = [
    ("image", bq.baselines.zero(), torch.zeros(3, 12, 10)),
    ("image", bq.baselines.mean(), torch.stack([torch.full((12, 10), plane.mean()) for plane in IMAGE])),
    ("image", bq.baselines.blur(2.5), blurred(2.5)),
    ("image", bq.baselines.blur(), blurred(10.0)),
    ("image", bq.baselines.dataset_mean(IMAGES), sum(IMAGES) / 7),
    ("image", bq.baselines.dataset_mean(list(IMAGES)), sum(IMAGES) / 7),
    ("image", bq.baselines.given(IMAGES[2]), IMAGES[2]),
    ("image", bq.baselines.given(np.arange(3.0).reshape(3, 1, 1)), ONE.expand(3, 12, 10)),
    ("image", bq.baselines.given(0.25), torch.full((3, 12, 10), 0.25)),
    ("column", bq.baselines.zero(), torch.zeros(5)),
    ("column", bq.baselines.dataset_mean(ROWS), sum(ROWS) / 9),
    ("column", bq.baselines.dataset_mean(ROWS.numpy()), sum(ROWS) / 9),
    ("column", bq.baselines.dataset_mean((ROWS * 100).long()), sum((ROWS * 100).long()) / 9),
    ("column", bq.baselines.given([1, 2, 3, 4, 5]), torch.arange(1.0, 6)),
    ("column", bq.baselines.given(3), torch.full((5,), 3.0)),
    ("feature-map", bq.baselines.zero(), torch.zeros(4, 10, 8)),
    (
        "feature-map",
        bq.baselines.mean(),
        features(IMAGE[None])[0].mean((1, 2), keepdim=True).expand(4, 10, 8),
    ),
    ("feature-map", bq.baselines.dataset_mean(IMAGES), sum(features(IMAGES)) / 7),
    (
        "feature-map",
        bq.baselines.given(torch.arange(4.0).view(4, 1, 1)),
        torch.arange(4.0).view(4, 1, 1).expand(4, 10, 8),
    ),
]


@pytest.mark.parametrize(("kind", "baseline", "hidden"), FITTING)
def test_what_is_behind_hidden_players(kind, baseline, hidden):
    players, x = PLAYERS[kind]
    masked = players.bind(x, baseline, NET)
    none, every = masked.inputs(torch.tensor([[False], [True]]).expand(2, len(masked.names)))
    torch.testing.assert_close(none, hidden, atol=1e-6, rtol=1e-5)
    assert torch.equal(every, features(x[None])[0] if kind == "feature-map" else x)


IMAGES_ALL = "mean, zero, blur, dataset_mean or given"
COLUMNS_ALL = "dataset_mean, zero or given"
FEATURES_ALL = "dataset_mean, mean, zero or given"


@pytest.mark.parametrize(
    ("kind", "baseline", "fits", "instead"),
    [
        ("image", bq.baselines.mask_token(), "texts", IMAGES_ALL),
        ("image", bq.baselines.pad(), "texts", IMAGES_ALL),
        ("image", bq.baselines.removal(), "texts", IMAGES_ALL),
        ("column", bq.baselines.mean(), "images, feature maps and texts", COLUMNS_ALL),
        ("column", bq.baselines.blur(), "images", COLUMNS_ALL),
        ("column", bq.baselines.mask_token(), "texts", COLUMNS_ALL),
        ("column", bq.baselines.pad(), "texts", COLUMNS_ALL),
        ("column", bq.baselines.removal(), "texts", COLUMNS_ALL),
        ("feature-map", bq.baselines.blur(), "images", FEATURES_ALL),
        ("feature-map", bq.baselines.mask_token(), "texts", FEATURES_ALL),
        ("feature-map", bq.baselines.pad(), "texts", FEATURES_ALL),
        ("feature-map", bq.baselines.removal(), "texts", FEATURES_ALL),
    ],
    ids=str,
)
def test_what_does_not_fit_names_what_it_fits_and_what_would(kind, baseline, fits, instead):
    players, x = PLAYERS[kind]
    with pytest.raises(bq.BequeathError) as error:
        players.bind(x, baseline, NET)
    assert str(error.value) == (
        f"baseline {baseline.name}: does not fit {kind} players (it fits {fits}); use {instead}"
    )


@pytest.mark.parametrize("baseline", [bq.baselines.blur(), bq.baselines.dataset_mean(IMAGES)])
def test_baselines_of_images_and_rows_do_not_fit_texts(baseline):
    tokenizer = wordpiece()
    with pytest.raises(
        bq.BequeathError, match=r"does not fit text players .*use mask_token, pad, removal, mean, zero"
    ):
        bq.players.words(tokenizer).bind("good film", baseline, tiny("bert", tokenizer))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bq.baselines.blur(0), "sigma 0; give a width"),
        (lambda: bq.baselines.blur(float("nan")), "sigma nan"),
        (lambda: bq.baselines.given([1.0, float("nan")]), "NaN or infinity"),
        (lambda: bq.baselines.given(torch.tensor(torch.inf)), "NaN or infinity"),
        (lambda: bq.baselines.dataset_mean(torch.full((2, 5), torch.nan)), "NaN or infinity"),
        (lambda: bq.baselines.dataset_mean(IMAGES[0]), r"inputs \(3, 12, 10\); give images"),
        (lambda: bq.baselines.dataset_mean(ROWS[:0]), r"inputs \(0, 5\)"),
        (lambda: bq.baselines.dataset_mean([]), "no inputs"),
        (lambda: bq.baselines.dataset_mean([ROWS[0], IMAGE]), "of several shapes"),
        (
            lambda: PLAYERS["image"][0].bind(IMAGE, bq.baselines.dataset_mean(IMAGES[..., :9]), NET),
            "its inputs are .*9",
        ),
        (
            lambda: PLAYERS["image"][0].bind(IMAGE, bq.baselines.dataset_mean(ROWS), NET),
            r"inputs are \(5,\), this image",
        ),
        (
            lambda: PLAYERS["column"][0].bind(ROW, bq.baselines.dataset_mean(IMAGES), NET),
            r"this row is \(5,\)",
        ),
        (
            lambda: PLAYERS["feature-map"][0].bind(IMAGE, bq.baselines.dataset_mean(IMAGES[..., :9]), NET),
            r"at layer '0' its inputs give \(4, 10, 7\), this sample \(4, 10, 8\)",
        ),
        (
            lambda: PLAYERS["image"][0].bind(IMAGE, bq.baselines.given([1.0, 2.0]), NET),
            r"\(2,\) does not fit an image",
        ),
        (lambda: PLAYERS["image"][0].bind(IMAGE, bq.baselines.given(IMAGES), NET), "does not fit an image"),
        (lambda: PLAYERS["column"][0].bind(ROW, bq.baselines.given(ROWS), NET), "does not fit a row"),
        (
            lambda: PLAYERS["feature-map"][0].bind(IMAGE, bq.baselines.given([1.0, 2.0]), NET),
            "does not fit a feature map",
        ),
        (lambda: PLAYERS["image"][0].bind(IMAGE.byte(), bq.baselines.mean(), NET), "torch.uint8 .*floats"),
        (lambda: PLAYERS["image"][0].bind(IMAGE.byte(), bq.baselines.blur(), NET), "torch.uint8 .*floats"),
        (
            lambda: PLAYERS["column"][0].bind(ROW.long(), bq.baselines.dataset_mean(ROWS), NET),
            "torch.int64 .*floats",
        ),
        (lambda: PLAYERS["column"][0].bind(ROW.long(), bq.baselines.given(0.5), NET), "torch.int64 .*floats"),
    ],
)
def test_bad_baselines_are_named(make, message):
    with pytest.raises(bq.BequeathError, match=message):
        make()


def test_integer_samples_take_integer_baselines():
    for baseline, hidden in ((bq.baselines.zero(), 0), (bq.baselines.given(3), 3)):
        masked = PLAYERS["column"][0].bind(torch.arange(5), baseline, NET)
        assert masked.inputs(torch.zeros(1, 5, dtype=torch.bool)).tolist() == [[hidden] * 5]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "baseline", [bq.baselines.mean(), bq.baselines.blur(2.5), bq.baselines.dataset_mean(IMAGES)]
)
def test_baselines_have_the_samples_own_precision(baseline, dtype):
    hidden = PLAYERS["image"][0].bind(IMAGE.to(dtype), baseline, NET).hidden
    assert hidden.dtype == dtype
    expected = PLAYERS["image"][0].bind(IMAGE.to(dtype).double(), baseline, NET).hidden
    torch.testing.assert_close(hidden.double(), expected, atol=1e-2, rtol=1e-2)
