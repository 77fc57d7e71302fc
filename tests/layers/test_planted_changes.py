"""`bequeath layers` on tiny models of which it is known what has changed."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from planted_blocks import GREY
from torch import nn

from bequeath.layers import run as whole
from bequeath.layers.pair import Asked, load
from bequeath.layers.swaps import swapped
from bequeath.study.direct import Wanted


def asked(before, after, network="Chain", shares=False, data="data", **more):
    wanted = Wanted(before, after, data, architecture=f"planted_chain:{network}", **more)
    return Asked(wanted, shares)


def measure(tmp_path, *models, out="out", **more):
    return whole.layers(asked(*models, **more), tmp_path / out)


def numbers(value):
    """All numbers in a document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for one in value for found in numbers(one)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def test_a_model_against_itself(state, project):
    document = measure(project, state("one"), state("two"), shares=True, samples=8, masks="64")
    assert list(document["blocks"]) == ["a", "b", "c"]
    for block in document["blocks"].values():
        assert (block["changed"], block["needed"], block["relative_change"]) == (False, False, 0)
        assert block["similarity"]["mean"] == pytest.approx(1)
        for swap in ("alone", "up_to"):
            assert block[swap]["difference"]["mean"] == 0
        assert block["alone"]["preserved"]["observed"] == pytest.approx(1)
    advice = document["recommendation"]
    assert (advice["head_only"], advice["freeze"]) == (True, None)
    assert advice["snippet"] == ["training:", "  two:", "    head_only: true"]
    assert any("same weights" in note for note in document["notes"])
    assert document["accuracy"]["after"]["mean"] == 1


@pytest.mark.parametrize(
    ("planted", "advice"),
    [("a", (None, False)), ("b", ("a", False)), ("c", ("b", False))],
)
def test_the_one_block_that_changed_is_found(state, project, planted, advice):
    document = measure(project, state("before", **{planted: GREY}), state("after"))
    found = document["recommendation"]
    assert (found["freeze"], found["head_only"]) == advice
    needed = [name for name, block in document["blocks"].items() if block["needed"]]
    assert needed == [planted]
    for name, block in document["blocks"].items():
        assert block["changed"] == (name == planted)
        assert block["alone"]["difference"]["mean"] == pytest.approx(
            -2 / 3 if name == planted else 0, abs=0.25
        )
    alike = [block["similarity"]["mean"] for block in document["blocks"].values()]
    place = "abc".index(planted)
    assert alike[:place] == pytest.approx([1] * place)
    text = " ".join(found["text"])
    assert f"block put back alone makes AFTER clearly worse: {planted} (" in text
    if advice[0] is None:
        assert "Freeze nothing: " in text
        assert found["snippet"] is None
    else:
        assert found["snippet"][-1] == f"    freeze: {advice[0]}"


def test_a_change_that_a_new_head_makes_good_is_not_needed(state, project):
    """Turned colours: AFTER's head is lost on them, a new one is not."""
    turned = torch.eye(3).roll(1, 0)
    document = measure(project, state("before", c=turned), state("after"))
    block = document["blocks"]["c"]
    assert block["needed"]  # alone, under the head of the model after
    assert block["up_to"]["kept_head"]["difference"]["mean"] < -0.5
    assert block["up_to"]["difference"]["mean"] == 0
    assert document["recommendation"]["head_only"]


def test_nothing_is_recommended_where_the_model_after_knows_nothing(state, project):
    document = measure(project, state("before"), state("after", a=GREY))
    advice = document["recommendation"]
    assert (advice["freeze"], advice["head_only"], advice["sure"]) == (None, False, None)
    assert "not clearly better than always naming the largest class" in advice["reason"]
    assert json.dumps(document).count("NaN") == 0


def test_the_document_holds_finite_numbers_and_the_page_is_whole(state, project):
    document = measure(project, state("before", classes=2, b=GREY), state("after"))
    assert document == json.loads((project / "out/layers.json").read_text())
    assert document["schema"] == "bequeath.layers/1"
    assert all(math.isfinite(one) for one in numbers(document))
    # Two classes before, three now: a probe is the head, and a line says so.
    assert document["models"]["before"]["probe"]
    assert any("a linear probe on its features" in line for line in document["chosen"])
    assert document["data"]["held_out"]["classes"] == {"blue": 12, "green": 12, "red": 12}
    assert (document["data"]["training"]["samples"], document["settings"]["gradients"]["samples"]) == (48, 48)
    parts = [block["gradient"]["part"]["mean"] for block in document["blocks"].values()]
    assert sum(parts) == pytest.approx(1)
    for block in document["blocks"].values():
        assert block["alone"]["preserved"] is None
        assert block["alone"]["reason"] == "interactions were not requested"
        for row in (block["gradient"]["value"], block["alone"]["difference"], block["up_to"]["difference"]):
            assert row["low"] <= row["mean"] <= row["high"]
    page = (project / "out/layers.html").read_text()
    assert page.count("<svg") == 2
    assert "Which layers had to change" in page
    assert (project / "out/layers.svg").read_text().startswith("<svg")


def test_gradients_are_those_of_an_independent_computation(state, project):
    document = measure(project, state("before", b=0.02 * (torch.eye(3) + 0.2)), state("after"))
    pair, _ = load(asked("before.safetensors", "after.safetensors"), project / "out/parts")
    model = copy.deepcopy(pair.before).double().requires_grad_(True)
    order = np.random.default_rng(0).permutation(48)
    train, ratios = pair.parts.inputs.train, {name: [] for name in ("a", "b", "c", "head")}
    for part in np.array_split(order, 8):
        model.zero_grad()
        for i in part:
            # `balanced` puts all samples into the data's order.
            out = model(train[int(i)].x[None].double())
            (nn.functional.cross_entropy(out, torch.tensor([train.labels[i]])) / len(part)).backward()
        for name in ratios:
            own = list(getattr(model, name).parameters())
            norms = [
                math.sqrt(sum(float((p.grad if g else p.detach()).pow(2).sum()) for p in own)) for g in (1, 0)
            ]
            ratios[name].append(norms[0] / norms[1])
    for name, values in ratios.items():
        row = document["head"] if name == "head" else document["blocks"][name]
        assert row["gradient"]["value"]["mean"] == pytest.approx(np.mean(values), rel=1e-4), name
        assert row["gradient"]["value"]["n"] == 8


def test_batch_norm_behind_a_swap_gets_its_statistics_anew(state, project):
    given = state("before", "Normed", a=3 * torch.eye(3)), state("after", "Normed")
    pair, _ = load(asked(*given, network="Normed"), project)
    assert [block.title for block in pair.blocks] == ["a", "b", "c to norm"]
    model = swapped(pair, pair.blocks[:1])
    assert torch.equal(model.a.weight, pair.before.a.weight)
    assert torch.equal(model.b.weight, pair.after.b.weight)
    x = pair.training.batch(range(48))
    seen = model.c(model.b(model.a(x.mean((2, 3)))))
    torch.testing.assert_close(model.norm.running_mean, seen.mean(0))
    assert not model.training
    # Put back itself, a block keeps the statistics that it had.
    back = swapped(pair, pair.blocks)
    torch.testing.assert_close(back.norm.running_mean, pair.before.norm.running_mean)
    torch.testing.assert_close(pair.after.norm.running_mean, torch.zeros(3))


def test_a_second_start_measures_nothing_again(state, project, monkeypatch):
    given = state("before", b=GREY), state("after")
    first = measure(project, *given)
    made = []
    for name in ("gradients", "similarities", "right"):
        own = getattr(whole, name)
        monkeypatch.setattr(whole, name, lambda *a, own=own, n=name, **k: made.append(n) or own(*a, **k))
    assert measure(project, *given) | {"created": ""} == first | {"created": ""}
    assert made == []
    # Another model under the same name is measured anew.
    measure(project, state("before", c=GREY), "after.safetensors")
    assert {"gradients", "similarities", "right"} == set(made)


def test_blocks_in_another_order_than_defined_are_told(state, project):
    given = state("before", "Backwards", b=GREY), state("after", "Backwards")
    document = measure(project, *given, network="Backwards")
    assert any("runs its blocks in the order c, b, a" in note for note in document["notes"])


def test_half_of_the_data_stand_for_training_data(state, project):
    document = measure(project, state("before", b=GREY), state("after"), data="data/val")
    assert any("50% of the data serve as training data" in line for line in document["chosen"])
    assert (document["data"]["held_out"]["samples"], document["data"]["training"]["samples"]) == (18, 18)
