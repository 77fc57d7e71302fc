"""A complete findings document, made up, consistent in itself, without any model."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import Any

MODELS = ("pretrained", "finetuned", "scratch")
REGIONS = {
    "pretrained": 2.1,
    "finetuned": 2.6,
    "scratch": 1.4,
    "pretrained+finetuned": 1.5,
    "pretrained+scratch": 0.3,
    "finetuned+scratch": 0.7,
    "all": 0.6,
}
N = 6
SAMPLES = 40


def estimate(mean: float, spread: float = 0.08, n: int = SAMPLES) -> dict[str, Any]:
    """An estimate whose interval is `spread` of its mean, a little longer above."""
    return {"mean": mean, "low": mean - spread * abs(mean), "high": mean + 1.3 * spread * abs(mean), "n": n}


def png(width: int = 6, height: int = 4) -> str:
    """A small real PNG with a colour ramp, as a data URI."""
    rows = b"".join(
        b"\0" + bytes(v for x in range(width) for v in (40 * x % 256, 60 * y % 256, 128))
        for y in range(height)
    )

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _order_row(kind: str, order: int, weight: float) -> dict[str, Any]:
    keep = 0.6 * math.exp(-0.15 * order)
    pretrained, finetuned, scratch = 4.5 * weight, 5.4 * weight, 3.0 * weight
    preserved = keep * pretrained
    empty = weight == 0
    strength = {
        "pretrained": pretrained,
        "finetuned": finetuned,
        "scratch": scratch,
        "preserved": preserved,
        "discarded": pretrained - preserved,
        "new": finetuned - preserved,
        "relearned": 0.3 * preserved,
    }
    cancel = {"pretrained": 0.8, "finetuned": 0.9, "scratch": 0.7, "discarded": 0.4}
    return {
        "type": kind,
        "order": order,
        "strength": {key: estimate(value) for key, value in strength.items()},
        "shares": {
            "preserved": None if empty else estimate(keep, 0.05),
            "relearned": None if empty else estimate(0.3, 0.1),
        },
        "cancellation": {
            key: None if empty else estimate(value / math.sqrt(order or 1)) for key, value in cancel.items()
        },
    }


def _by_order() -> list[dict[str, Any]]:
    rows = []
    for kind, part in (("all", 1.0), ("and", 0.7), ("or", 0.3)):
        rows.append(_order_row(kind, 0, part))
        for order in range(1, N + 1):
            # Singletons are merged into AND: OR has nothing at order 1.
            weight = 0.0 if (kind, order) == ("or", 1) else part * math.exp(-0.5 * abs(order - 2)) / 2.6
            rows.append(_order_row(kind, order, weight))
    return rows


def _ledger(model: str) -> list[dict[str, Any]]:
    parts = {
        name: 0.5 * value for name, value in REGIONS.items() if name == "all" or model in name.split("+")
    }
    total = sum(parts.values())
    rows = [{"part": "total", "effect": total, "positive_without": 0.95}]
    rows += [{"part": name, "effect": value, "positive_without": 0.7} for name, value in parts.items()]
    return [
        {
            "part": row["part"],
            "effect": estimate(row["effect"]),
            "share": estimate(row["effect"] / total, 0.1),
            "positive_without": estimate(row["positive_without"], 0.04),
        }
        for row in rows
    ]


def _run(speed: float, best: float) -> list[dict[str, Any]]:
    points = []
    for place, step in enumerate((0, 1, 3, 10, 32, 100, 240)):
        near = (place / 6) ** speed
        # High orders shrink while low ones grow.
        strength = [speed * ((1 - near) * 0.4 * order + near * math.exp(-0.4 * order)) for order in range(N)]
        points.append(
            {
                "name": f"step{step}",
                "step": step,
                "accuracy": estimate(0.5 + (best - 0.5) * near, 0.05, 153),
                "similarity": estimate(near, 0.08 * (1 - near)),
                "by_order": [estimate(near ** (1 + 0.1 * order), 0.08 * (1 - near)) for order in range(N)],
                "strength": estimate(sum(strength)),
                "strength_by_order": [estimate(value) for value in strength],
                "mean_order": estimate(
                    sum((order + 1) * value for order, value in enumerate(strength)) / sum(strength), 0.02
                ),
            }
        )
    return points


def _example(place: int, kind: str) -> dict[str, Any]:
    def interaction(kind: str, players: list[int], size: float) -> dict[str, Any]:
        effects = {"pretrained": size, "finetuned": 0.8 * size, "scratch": -0.2 * size}
        return {"type": kind, "players": players, **effects}

    image = kind == "image"
    return {
        "sample": f"val/{place:03d}",
        "class": "ants" if place % 2 else "bees",
        "picture": png() if image else None,
        "words": None if image else ["a", "gripping", "and", "oddly", "moving", "film"],
        "boxes": [[c / 3, r / 2, (c + 1) / 3, (r + 1) / 2] for r in range(2) for c in range(3)]
        if image
        else None,
        "preserved": [interaction("and", [1, 4], 1.2), interaction("or", [0, 5], -0.7)],
        "new": [interaction("and", [2], 0.9)],
        "discarded": [interaction("and", [0, 1, 3], -0.8), interaction("or", [2, 3, 4], 0.5)],
    }


def make_findings(kind: str = "image") -> dict[str, Any]:
    """A complete document; `kind` is "image" or "text"."""
    rising = [0.22, 0.35, 0.55, 0.72, 0.88, 0.97, 1.0]
    verdicts = {"F1": "supported", "F2": "contradicted", "F3": "undecided"}
    return {
        "schema": "bequeath.findings/1",
        "study": {
            "name": "Ants and bees",
            "kind": kind,
            "players": "2 x 3 grid" if kind == "image" else "words",
            "n_players": N,
            "baseline": "mean",
            "value": "log-odds of the true class",
            "decomposition": "and-or",
            "normalise": "output",
            "salient": None,
            "classes": ["ants", "bees"],
            "data": "hymenoptera, validation",
            "n_samples": SAMPLES,
        },
        "models": {
            model: {
                "source": f"mobilenet_v2, {model}",
                "checkpoints": [{"name": "last", "step": None if model == "pretrained" else 240}],
                "accuracy": estimate(accuracy, 0.05, 153),
            }
            for model, accuracy in zip(MODELS, (0.86, 0.91, 0.69), strict=True)
        },
        "knowledge": {
            "shares": {
                "preserved": estimate(0.6, 0.05),
                "discarded": estimate(0.4, 0.04),
                "new": estimate(0.5, 0.04),
                "relearned": estimate(0.3, 0.1),
            },
            "identifiability": {
                "slack": 1e-3,
                "least": estimate(0.21, 0.05),
                "least_found": estimate(0.52, 0.05),
                "greatest_found": estimate(0.63, 0.05),
                "greatest": estimate(0.64, 0.05),
            },
            "reference": {
                "decomposition": "and",
                "shares": {
                    "preserved": estimate(0.55, 0.05),
                    "discarded": estimate(0.45, 0.04),
                    "new": estimate(0.4837, 0.04),
                    "relearned": estimate(0.25, 0.1),
                },
            },
            "scaled": {
                "normalise": "l1",
                "shares": {
                    "preserved": estimate(0.663, 0.05),
                    "discarded": estimate(0.337, 0.04),
                    "new": estimate(0.337, 0.04),
                    "relearned": estimate(0.282, 0.1),
                },
            },
            "by_order": _by_order(),
        },
        "regions": [
            {
                "region": name,
                "strength": estimate(value),
                "by_order": [estimate(value * math.exp(-0.5 * order)) for order in range(N)],
                "effect": {
                    model: estimate(sign * value / 3, 0.3)
                    for model, sign in zip(MODELS, (1, 1, -1), strict=True)
                    if name == "all" or model in name.split("+")
                },
            }
            for name, value in REGIONS.items()
        ],
        "ledger": {model: _ledger(model) for model in MODELS},
        "ledger_error": 3.1e-12,
        "dynamics": {
            "finetuned": _run(0.7, 0.91),
            "scratch": _run(1.8, 0.69),
            "area": {
                "finetuned": estimate(0.64),
                "scratch": estimate(0.38),
                "difference": estimate(0.26, 0.2),
                "p": 0.0002,
            },
            "first_step": {"level": 0.5, "finetuned": 10, "scratch": 1100},
            "first_passage": {
                "level": 0.5,
                "finetuned": estimate(4.2),
                "scratch": estimate(52.5),
                "ratio": estimate(12.5, 0.2),
            },
            "dropped": {
                "finetuned": estimate(0.21),
                "scratch": estimate(0.37),
                "difference": estimate(0.16, 0.25),
                "p": 0.0312,
            },
        },
        "claims": {
            key: {"verdict": verdict, "text": f"The sentence of {key}.", "rule": f"The rule of {key}."}
            for key, verdict in verdicts.items()
        },
        "faithfulness": {
            "max_reconstruction_error": 2.2e-10,
            "mean_salient": {"pretrained": 21.4, "finetuned": 18.2, "scratch": 25.9},
            "sparsity": dict.fromkeys(MODELS, rising),
            "sparsity_at": [1, 2, 5, 10, 20, 50, 100],
            "salient_error": {model: estimate(0.06) for model in MODELS},
        },
        "certificates": {
            "tol": 1e-3,
            "worst_gap": 9e-4,
            "mean_gap": 4e-5,
            "n": 520,
            "missed": 0,
            "worst_resolution": 3e-10,
        },
        "samples": [
            {
                "id": f"val/{place:03d}",
                "class": "bees",
                "label": 1,
                "v_full": {"pretrained": 2.5, "finetuned": 4.25, "scratch": -0.5},
                "v_empty": dict.fromkeys(MODELS, 0.125),
            }
            for place in range(SAMPLES)
        ],
        "examples": [_example(place, kind) for place in range(2)],
        "warnings": ["Short run: 240 steps."],
        "provenance": {
            "versions": {"python": "3.11.7", "torch": "2.13.0", "bequeath": "0.1.0"},
            "seed": 0,
            "seconds": {"train": 95.2, "tables": 61.0},
            "evaluations": 123456,
            "created": "2026-11-23 10:00:00",
        },
    }
