"""Whether a model is better than the majority class; if not, its shares are not measurable.

Source: docs/method.md, section "When there is no verdict".
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from bequeath.knowledge.statistics import mean_estimate


def without_skill(name: str, correct: ArrayLike, majority: float) -> str | None:
    """The reason why a model counts as having no skill; None if it is better than always naming the largest class.

    Parameters
    ----------
    name : str
        Name of the model in the text.
    correct : array_like
        1 for each held-out sample that it classifies correctly, else 0: (samples,), or (seeds, samples).
    majority : float
        Share of these samples that belong to the largest class.

    Returns
    -------
    str or None
        None if the 95% interval of the accuracy lies above `majority`.
    """
    accuracy = mean_estimate(correct)
    if accuracy.low > majority:
        return None
    return (
        f"{name} is not better than always naming the largest class (it is right in {100 * accuracy.mean:.0f}% "
        f"[{100 * accuracy.low:.0f}%, {100 * accuracy.high:.0f}%], and {100 * majority:.0f}% are of that class): its "
        "head was never trained, or its training did not work"
    )
