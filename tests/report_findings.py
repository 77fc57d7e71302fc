"""Complete findings documents, made up, consistent in themselves, without any model: of two, three and five models."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import Any

# Models by role, those of twins and of none with theirs.
CASTS: dict[str, dict[str, str | None]] = {
    "two": {"step 1000": "before", "step 9000": "after"},
    "three": {"imagenet": "before", "birds": "after", "cold": "control"},
    "five": {
        "resnet50-imagenet-augreg-v2": "before",
        "resnet50-birds-augreg-v2": "after",
        "resnet50-birds-random-start": "control",
        "resnet50-birds-augreg-v2-seed-2": "after twin",
        "dinov2": None,
    },
}
STRENGTH = {"before": 4.5, "after": 5.4, "control": 3.0}
REGIONS = {
    ("before",): 2.1,
    ("after",): 2.6,
    ("control",): 1.4,
    ("before", "after"): 1.5,
    ("before", "control"): 0.3,
    ("after", "control"): 0.7,
    ("before", "after", "control"): 0.6,
}
N = 6
SAMPLES = 40


def estimate(mean: float | None, spread: float = 0.08, n: int = SAMPLES) -> dict[str, Any]:
    """An estimate whose interval is `spread` of its mean, a little longer above; of None, nothing to tell."""
    if mean is None:
        return {"mean": None, "low": None, "high": None, "n": n}
    return {"mean": mean, "low": mean - spread * abs(mean), "high": mean + 1.3 * spread * abs(mean), "n": n}


def share(
    observed: float | None,
    floor: float | None = 0.1,
    ceiling: float | None = 0.7,
    reason: str | None = None,
    second: str = "split",
) -> dict[str, Any]:
    """A share between its levels, whose interval is a tenth of the way from floor to ceiling to either side."""
    known = None not in (observed, floor, ceiling)
    corrected = (observed - floor) / (ceiling - floor) if known else None  # type: ignore[operator]
    around = estimate(observed, 0.05)
    return {
        "observed": observed,
        "floor": floor,
        "ceiling": ceiling,
        "corrected": corrected,
        "low": None if corrected is None else corrected - 0.1,
        "high": None if corrected is None else corrected + 0.1,
        "p": 0.0005 if known else None,
        "n": SAMPLES,
        "reason": reason,
        "seeds": 1,
        "second": second,
        "observed_low": around["low"],
        "observed_high": around["high"],
        "floor_within_classes": None if floor is None else floor + 0.005,
        "corrected_within_classes": None if corrected is None else corrected - 0.02,
        "p_within_classes": 0.0125 if known else None,
        "above_chance": True if known and not reason else None,
    }


def rest(one: dict[str, Any]) -> dict[str, Any]:
    """The share of what is left, as `Share.rest`."""
    ends = {"low": "high", "high": "low", "observed_low": "observed_high", "observed_high": "observed_low"}
    alike = (
        "observed",
        "floor",
        "ceiling",
        "corrected",
        "floor_within_classes",
        "corrected_within_classes",
    )
    of = {**dict(zip(alike, alike, strict=True)), **ends}
    return one | {key: None if one[other] is None else 1 - one[other] for key, other in of.items()}


def shares(roles: list[str], preserved: float = 0.4, relearned: float = 0.25, **more: Any) -> dict[str, Any]:
    """All shares of one reading."""
    kept = share(preserved, **more)
    found = {"preserved": kept, "discarded": rest(kept), "new": rest(share(preserved + 0.03, **more))}
    return found | ({"relearned": share(relearned, **more)} if "control" in roles else {})


NO_SECOND = "no second reading of the models; exact readings need retests or twins for a ceiling"
NOISE = "a second reading of the same models finds 3.0% again, and other samples share 2.9%"


def _by_order(roles: list[str]) -> dict[str, Any]:
    """Shares by order; the highest order is not measurable."""
    names = ["preserved"] + (["relearned"] if "control" in roles else [])
    return {
        name: [share(0.45 - 0.05 * order) for order in range(N - 1)] + [share(0.03, 0.029, 0.03, NOISE)]
        for name in names
    }


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


def _order_row(kind: str, order: int, weight: float, roles: list[str]) -> dict[str, Any]:
    keep = 0.6 * math.exp(-0.15 * order)
    empty = weight == 0
    strength = {role: STRENGTH[role] * weight for role in roles}
    preserved = keep * strength["before"]
    strength |= {
        "preserved": preserved,
        "discarded": strength["before"] - preserved,
        "new": strength["after"] - preserved,
    }
    shares = {"preserved": estimate(None if empty else keep, 0.05)}
    cancel = {"before": 0.8, "after": 0.9, "control": 0.7}
    cancel = {role: cancel[role] for role in roles} | {"discarded": 0.4}
    if "control" in roles:
        strength["relearned"] = 0.3 * preserved
        shares["relearned"] = estimate(None if empty else 0.3, 0.1)
    return {
        "type": kind,
        "order": order,
        "strength": {key: estimate(value) for key, value in strength.items()},
        "shares": shares,
        "cancellation": {
            key: estimate(None if empty else value / math.sqrt(order or 1)) for key, value in cancel.items()
        },
    }


def _strength_by_order(roles: list[str]) -> list[dict[str, Any]]:
    rows = []
    for kind, part in (("all", 1.0), ("and", 0.7), ("or", 0.3)):
        rows.append(_order_row(kind, 0, part, roles))
        # Singletons stand under AND.
        for order in range(2 if kind == "or" else 1, N + 1):
            rows.append(_order_row(kind, order, part * math.exp(-0.5 * abs(order - 2)) / 2.6, roles))
    # An order with nothing in it has no shares.
    rows[-1] = _order_row("or", N, 0.0, roles)
    return rows


def _ledger(role: str, roles: list[str]) -> list[dict[str, Any]]:
    parts = {region: 0.5 * REGIONS[region] for region in _regions(roles) if role in region}
    total = sum(parts.values())
    return [
        {
            "part": "region" if region else "total",
            "models": list(region) if region else None,
            "effect": estimate(effect),
            # The control's output is not well away from 0.
            "share": None if role == "control" else estimate(effect / total, 0.1),
            "positive_without": estimate(0.7 if region else 0.95, 0.04),
        }
        for region, effect in [(None, total), *parts.items()]
    ]


def _regions(roles: list[str]) -> list[tuple[str, ...]]:
    return [region for region in REGIONS if set(region) <= set(roles)]


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
                "kept": share(0.6 - 0.4 * near),
                "added": None
                if place == 0
                else {
                    "strength": 2.0 - near,
                    "reliability": estimate(0.6 - 0.5 * near),
                    "cancellation": estimate(0.3),
                    "less_reliable": None if place == 1 else estimate(-0.5 * near),
                },
                "corrected": estimate(near, 0.08 * (1 - near)),
                "observed": estimate(0.02 + 0.3 * near, 0.1),
                "floor": estimate(0.02 + 0.01 * near, 0.1),
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


def _course(area: float, first: int | None, passage: float, dropped: float) -> dict[str, Any]:
    return {
        "area": estimate(area),
        "first_step": first,
        "first_passage": estimate(passage),
        "dropped": estimate(dropped),
        "ceiling": estimate(0.32),
    }


def _turnover() -> dict[str, Any]:
    kinds = [f"{part} {when}" for part in ("removed", "added") for when in ("early", "late")]
    return {
        kind: {
            "strength": 1.5 + place,
            "reliability": estimate(0.04 + 0.05 * place),
            "cancellation": estimate(0.2 + 0.1 * place),
        }
        for place, kind in enumerate(kinds)
    }


def _dynamics(cast: dict[str, str | None]) -> dict[str, Any] | None:
    """Of every model after, control and twin: none where there are two models alone."""
    by_role = {
        "after": (_run(0.7, 0.91), _course(0.64, 10, 4.2, 0.21)),
        "after twin": (_run(0.9, 0.9), _course(0.58, 10, 6.1, 0.24)),
        "control": (_run(1.8, 0.69), _course(0.38, 1100, 52.5, 0.37)),
    }
    followed = {name: by_role[role] for name, role in cast.items() if role in by_role}
    if len(cast) == 2:
        return None
    return {
        "level": 0.5,
        "runs": {name: run for name, (run, _) in followed.items()},
        "courses": {name: course for name, (_, course) in followed.items()},
        "turnover": {name: _turnover() for name in followed},
        "stopping": {
            name: {"turns": None if name == "cold" else 32, "best": 100, "fall": estimate(0.02, 0.5, 153)}
            for name in followed
        },
        "lead": {
            "area": estimate(0.26, 0.2),
            "area_p": 0.0002,
            "steps": estimate(12.5, 0.2),
            "dropped": estimate(0.16, 0.25),
            "dropped_p": 0.0312,
            "level": 0.5,
        },
    }


def _sample(
    place: int, modality: str, models: dict[str, str | None], outputs: dict[str, float]
) -> dict[str, Any]:
    """Two samples are drawn, with interactions of every part; of the others the figures alone are kept."""
    roles = [role for role in models.values() if role in STRENGTH]

    def term(kind: str, players: list[int], part: str | None, *effects: float) -> dict[str, Any]:
        return {"type": kind, "players": players, "part": part, **dict(zip(roles, effects, strict=False))}

    image = modality == "image"
    return {
        "id": "bees/7.jpg" if place == 1 else f"val/{place:03d}",
        "class": "ants" if place == 0 else "bees",
        "verdict": ["both", "forgotten", "learned", "neither", None][min(place, 4)],
        "v_full": outputs,
        "v_empty": dict.fromkeys(models, 0.125),
        "strength": {"preserved": 1.5, "discarded": 2.0 + place % 7, "new": 3.0 + place % 5},
        "scene": {
            "picture": png() if image else None,
            "words": None if image else ["a", "gripping", "and", "oddly", "moving", "film"],
            "boxes": None,
            "areas": None,
        }
        if place < 2
        else None,
        "terms": [
            term("and", [1, 4], "preserved", 1.2, 0.96, -0.24),
            term("and", [2], "new", 0.0, 0.9, 0.1),
            term("and", [0, 1, 3], "discarded", -0.8, -0.1, 0.0),
            term("or", [0, 5], "preserved", -0.7, -0.56, 0.14),
            term("or", [3, 5], "flipped", 0.4, -0.3, 0.0),
            *([term("and", [4, 5], None, 0.0, 0.0, 0.2)] if "control" in roles else []),
        ]
        if place < 2
        else [],
    }


def _flipped() -> dict[str, Any]:
    def term(what: str, kind: str, players: list[int], before: float, after: float) -> dict[str, Any]:
        return {
            "type": kind,
            "players": players,
            "what": what,
            "before": before,
            "after": after,
            "share": (after - before) / -3.0,
        }

    return {
        "sample": "bees/7.jpg",
        "class": "bees",
        "flip": "forgotten",
        "change": {
            "before": 1.75,
            "after": -1.25,
            "total": -3.0,
            "lost": -1.5,
            "came": -1.0,
            "turned": -0.7,
            "rest": 0.2,
            "terms": [
                term("lost", "and", [1, 4], 1.5, 0.0),
                term("came", "or", [0, 5], 0.0, -1.0),
                term("turned", "and", [3], 0.4, -0.3),
            ],
            "hidden": {
                "players": [1, 3, 4],
                "said": 2.1,
                "measured": 1.65,
                "at_random": 0.6,
                "measurable": True,
            },
        },
    }


def make_findings(modality: str = "image", cast: str = "three") -> dict[str, Any]:
    """A complete document; `modality` is "image" or "text", `cast` one of `CASTS`."""
    models = CASTS[cast]
    names = {role: name for name, role in models.items() if role in STRENGTH}
    roles = list(names)
    rising = [0.22, 0.35, 0.55, 0.72, 0.88, 0.97, 1.0]
    verdicts = {"F1": "supported"}
    if "control" in roles:
        verdicts |= {"F2": "contradicted", "F3": "undecided", "F4": "not measurable"}
    differs = {"paper": "contradicted: 57% observed, where interactions of other samples share 50%"}
    accuracy = dict(zip(models, (0.86, 0.91, 0.69, 0.9, 0.88), strict=False))
    outputs = dict(zip(models, (2.5, 4.25, -0.5, 4.0, 3.25), strict=False))
    return {
        "schema": "bequeath.findings/7",
        "study": {
            "name": "Ants and bees",
            "modality": modality,
            "players": "2 x 3 grid" if modality == "image" else "words",
            "n_players": N,
            "player_names": [f"r{r}c{c}" for r in (1, 2) for c in (1, 2, 3)],
            "boxes": [[c / 3, r / 2, (c + 1) / 3, (r + 1) / 2] for r in range(2) for c in range(3)]
            if modality == "image"
            else None,
            "orders": N,
            "baseline": "mean",
            "value": "log-odds of the true class",
            "decomposition": "and-or, gap 0.001",
            "normalise": "l1",
            "salient": None,
            "classes": ["ants", "bees"],
            "data": "hymenoptera, validation",
            "preprocessing": {
                "size": 96,
                "mean": [0.485, 0.456, 0.406],
                "std": [0.229, 0.224, 0.225],
                "resize": "crop",
                "resize_to": None,
                "interpolation": "bilinear",
                "centre": "nearest",
            }
            if modality == "image"
            else {"tokenizer": "BertTokenizer", "most_tokens": 512},
            "n_samples": SAMPLES,
        },
        "summary": {
            "compared": f"{names['after']} was compared with {names['before']}.",
            "findings": ["Half of it is left."],
            "sure": ["Not by accident."],
            "not_measurable": ["What training removes: there are no halves."],
        },
        "roles": {
            "control": None,
            **names,
            "twins": {"after": [name for name, role in models.items() if role == "after twin"]},
        },
        "models": {
            name: {
                "role": role,
                "source": f"mobilenet_v2, {role}",
                "outputs": "ants, bees (named by its config)",
                "checkpoints": [{"name": "last", "step": None if role == "before" else 240}],
                "accuracy": estimate(accuracy[name], 0.05, 153),
            }
            for name, role in models.items()
        },
        "knowledge": {
            "shares": shares(roles),
            "second": "split",
            "by_second": {"twin": shares(roles, ceiling=0.55, second="twin")} if cast == "five" else {},
            "by_reading": {
                "raw": shares(roles, preserved=0.34),
                "paper": shares(roles, preserved=0.57, ceiling=None, reason=NO_SECOND, second="once"),
            },
            "shares_by_order": _by_order(roles),
            "fall_with_order": estimate(0.12, 0.5),
            "not_measurable": {},
            "pairs": [
                {"first": first, "second_model": second, **share(0.3 + 0.07 * i + 0.03 * j, 0.15 + 0.01 * i)}
                for i, first in enumerate(models)
                for j, second in enumerate(models)
                if first != second
            ],
            "identifiability": {
                "slack": 1e-3,
                "least": estimate(0.21, 0.05),
                "least_found": estimate(0.52, 0.05),
                "greatest_found": estimate(0.63, 0.05),
                "greatest": estimate(0.64, 0.05),
                "new_least": estimate(0.44, 0.05),
                "new_greatest": estimate(0.81, 0.05),
            }
            if cast == "three"
            else None,
            "by_order": _strength_by_order(roles),
        },
        "forgotten": {
            "n": 153,
            "both": 120,
            "forgotten": 4,
            "learned": 12,
            "neither": 17,
            "change": estimate(0.05, 0.03, 153),
            "p": 0.077,
            "by_class": [
                {
                    "class": name,
                    "n": n,
                    "both": 60,
                    "forgotten": 2,
                    "learned": 6,
                    "neither": n - 68,
                    "change": estimate(0.05, 0.04, n),
                    "p": 0.58,
                }
                for name, n in (("ants", 70), ("bees", 83))
            ],
            "again": [
                {"twin": name, "forgotten": 3, "learned": 10}
                for name, role in models.items()
                if role == "after twin"
            ],
            "samples": [
                _flipped(),
                {"sample": "ants/3.jpg", "class": "ants", "flip": "learned", "change": None},
            ],
            "check": {
                "n": 9,
                "reason": None,
                "measurable": 8,
                "right": estimate(0.875, 0.2, 8),
                "right_at_random": estimate(0.6, 0.1, 8),
                "said": estimate(0.7, 0.1, 9),
                "undone": estimate(0.55, 0.2, 9),
                "undone_at_random": estimate(0.21, 0.1, 9),
                "more": estimate(0.34, 0.2, 9),
            },
        },
        "regions": [
            {
                "models": list(region),
                "strength": estimate(REGIONS[region]),
                "by_order": [estimate(REGIONS[region] * math.exp(-0.5 * order)) for order in range(N)],
                "effect": {
                    role: estimate((-1 if role == "control" else 1) * REGIONS[region] / 3, 0.3)
                    for role in region
                },
            }
            for region in _regions(roles)
        ],
        "ledger": {role: _ledger(role, roles) for role in roles},
        "ledger_error": 3.1e-12,
        "masks": None,
        "dynamics": _dynamics(models),
        "claims": {
            key: {
                "verdict": verdict,
                "text": f"The sentence of {key}.",
                "rule": f"The rule of {key}.",
                "differs": differs if key == "F1" else {},
            }
            for key, verdict in verdicts.items()
        },
        "faithfulness": {
            "max_reconstruction_error": 2.2e-10,
            "held_out": {},
            "mean_salient": {name: 18.2 + 3 * place for place, name in enumerate(models)},
            "sparsity": {name: [x ** (1 + 0.1 * place) for x in rising] for place, name in enumerate(models)},
            "sparsity_at": [1, 2, 5, 10, 20, 50, 100],
            "salient_error": {name: estimate(0.06) for name in models},
        },
        "certificates": {
            "tol": 1e-3,
            "worst_gap": 9e-4,
            "mean_gap": 4e-5,
            "n": 520,
            "missed": 0,
            "worst_resolution": 3e-10,
        },
        "samples": [_sample(place, modality, models, outputs) for place in range(SAMPLES)],
        "evaluation": {"device": "cpu", "batch_size": None, "autocast": None, "autocast_effect": None},
        "missing": None,
        "warnings": ["Short run: 240 steps."],
        "provenance": {
            "versions": {"python": "3.11.7", "torch": "2.13.0", "bequeath": "0.1.0"},
            "seed": 0,
            "seconds": {"train": 95.2, "tables": 61.0},
            "evaluations": 123456,
            "created": "2026-11-23 10:00:00",
            "key": "0f3a",
        },
    }
