"""The sets of weights that one file holds, and which of them is taken: as the library that wrote it would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from bequeath.errors import BequeathError, few

State: TypeAlias = dict[str, Tensor]

# Marks that a library leaves in its checkpoints, and what its own loading takes, whatever stands beside it.
WRITERS = {
    "pytorch-lightning_version": ("state_dict", "Lightning"),  # averages that callbacks keep are their own
    "message_hub": (
        "state_dict",
        "MMEngine",
    ),  # which puts the average there, the raw weights into ema_state_dict
}
# What a key may be made of that says "the model" and nothing more.
_PLAIN = frozenset(
    {"model", "net", "network", "module", "state", "dict", "weights", "weight", "params", "parameters"}
)
_FIRST = ("state_dict", "model", "model_state_dict")
_AVERAGE = frozenset({"ema", "ewma", "swa", "averaged", "average", "avg", "polyak", "shadow"})
# Keys within keys at most.
_DEPTH = 30
# What data parallelism, `AveragedModel` and `torch.compile` put into names.
WRAPPERS = frozenset({"module", "_orig_mod"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class Choice:
    """One set of weights, out of several in a file.

    Attributes
    ----------
    state : dict of str to Tensor
    taken : str
        Key of the set: keys within keys are joined by dots; "" is the file itself.
    others : tuple of str
        Keys of the sets that were left.
    why : str
        What the choice follows; empty where there was none.
    """

    state: State
    taken: str
    others: tuple[str, ...] = ()
    why: str = ""

    @property
    def told(self) -> str:
        """The choice in words."""
        others = few([repr(other) for other in self.others], 4)
        return (
            f"of the sets of weights in its file {self.taken or 'the one at its top'!r} is taken ({self.why}), not "
            f"{others}; weights_key chooses"
        )


def canonical(name: str) -> str:
    """A name without what wrappers put into it, wherever that stands."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def words(name: str) -> frozenset[str]:
    """The words that a name is made of."""
    return frozenset(word.lower() for word in _WORD.findall(name))


def choose(place: str, content: Any, key: str | None) -> Choice:
    """The weights within what a file holds.

    Parameters
    ----------
    place : str
        Begins every error.
    content
        As `torch.load` gives it.
    key : str, optional
        Which set, where the user says it: keys within keys, numbers in lists and beginnings of names, joined by dots.

    Raises
    ------
    BequeathError
        If there are no tensors, there is no such key, or there are several sets and no rule says which is meant.
    """
    sets = weight_sets(content)
    if not sets:
        raise BequeathError(
            f"{place}: no state dict found in it but {_described(content)}; save model.state_dict(), plain or as "
            "'state_dict'"
        )
    if key is not None:
        return Choice(_under(place, sets, key), key)
    # Generators' states, best scores and the like are no weights where something else is.
    real = {path: state for path, state in sets.items() if _has_matrix(state)} or sets
    if len(real) == 1:
        ((path, state),) = real.items()
        average = next((at for at in _nameless(content) if words(at) & _AVERAGE), None)
        if average is None:
            return Choice(state, path)
        return Choice(state, path, (average,), "since the other is a list without names")
    chosen = _preferred(content, real)
    if chosen is None:
        raise BequeathError(
            f"{place}: holds several sets of weights: {_listed(real)}; say which is meant by weights_key, such as "
            f"weights_key: {next(path for path in real if path)}"
        )
    return chosen


def weight_sets(content: Any) -> dict[str, State]:
    """Every mapping of names to tensors in what a file holds, by its keys; optimizers' are left out."""
    found: dict[str, State] = {}
    for path, inner in _mappings(content):
        tensors = {name: value for name, value in inner.items() if isinstance(value, Tensor)}
        if tensors and all(isinstance(name, str) for name in tensors):
            found[".".join(path)] = tensors
    return found


def _mappings(content: Any) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """Mappings within mappings and lists, each once: what a file holds may contain itself."""
    left: list[tuple[tuple[str, ...], Any]] = [((), content)]
    seen: set[int] = set()
    while left:
        path, at = left.pop()
        if id(at) in seen or len(path) > _DEPTH:
            continue
        seen.add(id(at))
        if isinstance(at, Mapping):
            if {"state", "param_groups"} <= at.keys():  # an optimizer's
                continue
            yield path, at
        inner = (
            at.items() if isinstance(at, Mapping) else enumerate(at) if isinstance(at, (list, tuple)) else ()
        )
        below = [
            ((*path, str(key)), value) for key, value in inner if isinstance(value, (Mapping, list, tuple))
        ]
        left.extend(reversed(below))


def _nameless(content: Any) -> Iterator[str]:
    """Keys of lists of tensors: some keep averages so, in the order of the model's parameters."""
    for at, inner in _mappings(content):
        for name, value in inner.items():
            if isinstance(value, (list, tuple)) and value and all(isinstance(one, Tensor) for one in value):
                yield ".".join((*at, str(name)))


def _preferred(content: Any, sets: dict[str, State]) -> Choice | None:
    """The set that the file's own library would load; None where that cannot be known."""

    def chosen(path: str, why: str, state: State | None = None) -> Choice:
        others = tuple(other for other in sets if other != path)
        return Choice(sets[path] if state is None else state, path, others, why)

    for mark, (path, library) in WRITERS.items():
        if isinstance(content, Mapping) and mark in content and path in sets:
            return chosen(path, f"as {library} does")
    averages = [path for path in sets if words(path) & _AVERAGE]
    others = [path for path in sets if path not in averages]
    plain = [path for path in _FIRST if path in others]
    plain += [path for path in others if words(path) <= _PLAIN and path not in plain]
    if not averages:
        return chosen(plain[0], "by its name") if plain else None
    if len(averages) > 1 or not (plain or len(others) == 1):
        return None
    # Its names say that it is the same model's: an average is what timm, torchvision and Ultralytics evaluate.
    average, raw = averages[0], plain[0] if plain else others[0]
    mean, last = _bare(sets[average]), _bare(sets[raw])
    if mean.keys() == last.keys():
        return chosen(average, "the average over training, as timm does")
    if mean.keys() < last.keys() and 2 * len(mean) > len(last):
        # Of parameters alone; such averages are put over the model, whose buffers stay.
        why = f"the average over training, as timm does, and what it lacks is that of {raw!r}"
        return chosen(average, why, last | mean)
    return None


def _bare(state: State) -> State:
    return {canonical(name): value for name, value in state.items() if value.ndim}


def _has_matrix(state: State) -> bool:
    return any(value.ndim > 1 for value in state.values())


def _under(place: str, sets: dict[str, State], key: str) -> State:
    """All tensors whose whole name begins with a key, without it; or, where that is one set, those in a set."""
    start = f"{key}." if key else ""
    named = {
        f"{path}.{name}" if path else name: value
        for path, state in sets.items()
        for name, value in state.items()
    }
    inside = [_behind(state, start) for state in sets.values()]
    found = _behind(named, start)
    if not found and sum(map(bool, inside)) == 1:
        found = next(state for state in inside if state)
    if not found:
        there = [path for path in sets if path]
        there = there or sorted({name.partition(".")[0] for name in named})
        raise BequeathError(f"{place}: weights_key: no {key!r} in it; there are {_listed(there)}")
    return found


def _behind(state: State, start: str) -> State:
    return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}


def _described(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict of {', '.join(str(name) for name in list(content)[:5]) or 'nothing'}"
    return f"a {type(content).__name__}"


def _listed(paths: Iterable[str]) -> str:
    return few([path or "(the file itself)" for path in paths], 6)
