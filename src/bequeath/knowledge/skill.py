"""Whether a model knows anything of its task: else there is nothing to be read in it (METHOD 5e)."""

from __future__ import annotations

from numpy.typing import ArrayLike

from bequeath.knowledge.statistics import mean_estimate


def without_skill(name: str, correct: ArrayLike, majority: float) -> str | None:
    """Why a model is not better than one that always names the largest class; None where it is.

    Parameters
    ----------
    name : str
        What the model is called.
    correct : array_like
        1 for each held-out sample that it classifies correctly, else 0: (samples,), or (seeds, samples).
    majority : float
        Share of these samples that belong to the largest class.
    """
    accuracy = mean_estimate(correct)
    if accuracy.low > majority:
        return None
    return (
        f"{name} is not better than always naming the largest class (it is right in {100 * accuracy.mean:.0f}% "
        f"[{100 * accuracy.low:.0f}%, {100 * accuracy.high:.0f}%], and {100 * majority:.0f}% are of that class): its "
        "head was never trained, or its training did not work"
    )
