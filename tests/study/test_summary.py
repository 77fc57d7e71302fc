"""The findings in plain words: who was compared, what came out, how sure it is, what cannot be told."""

from __future__ import annotations

from typing import Any

import pytest
from report_findings import estimate, make_findings

from bequeath.study.findings.summary import summary


def test_three_models() -> None:
    found = summary(make_findings())
    assert found["compared"] == (
        "birds was compared with imagenet, and both with cold, which did not start from imagenet. All models "
        "classified the same 40 pictures many times, each time with other parts hidden. Their answers show which parts "
        "they use together, and how strongly. This is the knowledge that is compared here. Of 153 test pictures, "
        "imagenet gets 86% right, birds 91% and cold 69%. birds has forgotten 4 of them (right by imagenet, wrong by "
        "birds) and learned 12 (wrong by imagenet, right by birds)."
    )
    assert found["findings"] == [
        "birds has 50% [40%, 60%] of what can be read of imagenet. The rest is not in it, or differs.",
        "cold has also learned, by itself, 25% [15%, 35%] of what birds kept.",
        "In training, birds approaches its final knowledge earlier than cold, and it loses less of what it learned on "
        "the way (21% against 37%).",
    ]
    assert found["not_measurable"] == ["Whether training removes noise: The sentence of F4."]
    assert "fewer than 1 in 1,000 of the shuffles" in found["sure"][1]
    assert found["sure"][2] == "These figures come from one training run per model. Another run gives others."


def test_what_is_not_measurable_gives_its_reason_and_no_figure() -> None:
    findings = make_findings()
    for share in findings["knowledge"]["shares"].values():
        share["reason"] = "cold knows nothing"
    findings["claims"]["F3"]["verdict"] = "not measurable"
    found = summary(findings)
    assert found["findings"] == []
    assert found["not_measurable"][:2] == [
        "How much of imagenet is left in birds: cold knows nothing.",
        "How much of that cold learned by itself: cold knows nothing.",
    ]
    assert len(found["not_measurable"]) == 4
    assert "%" not in " ".join(found["findings"] + found["sure"])


@pytest.mark.parametrize(
    ("area", "dropped", "sentence"),
    [
        (0.2, -0.2, "earlier than cold, but it loses more of what"),
        (-0.2, 0.2, "later than cold, but it loses less of what"),
        (-0.2, -0.2, "later than cold, and it loses more of what"),
        (
            0.0,
            0.2,
            "neither birds nor cold clearly approaches its final knowledge earlier, and birds loses less",
        ),
        (0.2, None, "earlier than cold, and it loses about as much of what"),
    ],
)
def test_courses(area: float, dropped: float | None, sentence: str) -> None:
    findings = make_findings()
    findings["dynamics"]["lead"] |= {"area": estimate(area), "dropped": estimate(dropped)}
    assert sentence in summary(findings)["findings"][2]


def test_two_models_seeds_and_held_out_masks() -> None:
    findings: dict[str, Any] = make_findings("text", "two")
    share = findings["knowledge"]["shares"]["preserved"]
    share |= {"seeds": 3, "low": -0.1, "p": 0.2, "above_chance": False}
    findings["faithfulness"]["held_out"] = {"a": {"r2": estimate(0.61)}, "b": {"r2": estimate(0.72)}}
    found = summary(findings)
    assert "Both models classified the same 40 texts" in found["compared"]
    assert "step 1000 gets 86% right, step 9000 91%." in found["compared"]
    assert "step 9000 shares no more with step 1000 than unrelated models share" in found["findings"][0]
    assert "(this one has 40 texts and 3 training runs)" in found["sure"][0]
    assert "20.0% of the shuffles" in found["sure"][1]
    assert "The interactions that were read predict 61% to 72% of how the answers change" in found["sure"][2]
