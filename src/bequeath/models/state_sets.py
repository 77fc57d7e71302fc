"""The sets of weights in one file, and the choice of one: the set that the library which wrote the file would load."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from bequeath.errors import BequeathError, few

State: TypeAlias = dict[str, Tensor]

# Keys that identify the library which wrote a checkpoint, and the set that this library loads.
WRITERS = {
    "pytorch-lightning_version": ("state_dict", "Lightning"),  # averages of its callbacks are not the model
    "message_hub": ("state_dict", "MMEngine"),  # holds the average; the raw weights are in ema_state_dict
}
# Words of a key that means "the model" and nothing more.
_PLAIN = frozenset(
    {"model", "net", "network", "module", "state", "dict", "weights", "weight", "params", "parameters"}
)
_FIRST = ("state_dict", "model", "model_state_dict")
_AVERAGE = frozenset({"ema", "ewma", "swa", "averaged", "average", "avg", "polyak", "shadow"})
# The largest depth of nested keys.
_DEPTH = 30
# Parts of names that data parallelism, `AveragedModel` and `torch.compile` add.
WRAPPERS = frozenset({"module", "_orig_mod"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class Choice:
    """One set of weights, out of several in a file.

    Attributes
    ----------
    state : dict of str to Tensor
    taken : str
        Key of the set. Nested keys are joined by dots; "" is the top level of the file.
    others : tuple of str
        Keys of the other sets.
    why : str
        The rule that chose; empty if there was no choice.
    """

    state: State
    taken: str
    others: tuple[str, ...] = ()
    why: str = ""

    @property
    def description(self) -> str:
        """The choice in words."""
        taken = repr(self.taken) if self.taken else "the one at the top level"
        others = few([repr(other) for other in self.others], 4)
        return (
            f"the file holds several sets of weights; {taken} is taken ({self.why}), not {others}; choose another "
            "with weights_key"
        )


def canonical(name: str) -> str:
    """A name without the parts that wrappers add, wherever they are."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def words(name: str) -> frozenset[str]:
    """The words that a name is made of."""
    return frozenset(word.lower() for word in _WORD.findall(name))


def choose(place: str, content: Any, key: str | None) -> Choice:
    """Choose one set of weights from the content of a file.

    Parameters
    ----------
    place : str
        Begins every error.
    content
        As `torch.load` returns it.
    key : str, optional
        The user's choice: nested keys, numbers in lists and prefixes of names, joined by dots.

    Returns
    -------
    Choice

    Raises
    ------
    BequeathError
        If there are no tensors, the key does not exist, or there are several sets and no rule says which to take.
    """
    sets = weight_sets(content)
    if not sets:
        raise BequeathError(
            f"{place}: it holds no state dict but {_described(content)}; save model.state_dict(), alone or under the "
            "key 'state_dict'"
        )
    if key is not None:
        return Choice(_under(place, sets, key), key)
    # States of random generators, best scores and the like are not weights if there is a set with a matrix.
    real = {path: state for path, state in sets.items() if _has_matrix(state)} or sets
    if len(real) == 1:
        ((path, state),) = real.items()
        average = next((path for path in _unnamed_lists(content) if words(path) & _AVERAGE), None)
        if average is None:
            return Choice(state, path)
        return Choice(state, path, (average,), "the other is a list without names")
    chosen = _preferred(content, real)
    if chosen is None:
        raise BequeathError(
            f"{place}: holds several sets of weights: {_listed(real)}; choose with weights_key, such as "
            f"weights_key: {next(path for path in real if path)}"
        )
    return chosen


def weight_sets(content: Any) -> dict[str, State]:
    """All mappings of names to tensors in a file's content, by their keys; those of optimizers are left out."""
    sets: dict[str, State] = {}
    for path, mapping in _mappings(content):
        tensors = {name: value for name, value in mapping.items() if isinstance(value, Tensor)}
        if tensors and all(isinstance(name, str) for name in tensors):
            sets[".".join(path)] = tensors
    return sets


def _mappings(content: Any) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """All mappings nested in mappings and lists, each once, with its keys: the content may contain itself."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), content)]
    visited: set[int] = set()
    while pending:
        path, node = pending.pop()
        if id(node) in visited or len(path) > _DEPTH:
            continue
        visited.add(id(node))
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(node, Mapping):
            if {"state", "param_groups"} <= node.keys():  # an optimizer's state
                continue
            yield path, node
            items = node.items()
        elif isinstance(node, (list, tuple)):
            items = enumerate(node)
        children = [
            ((*path, str(key)), value) for key, value in items if isinstance(value, (Mapping, list, tuple))
        ]
        pending.extend(reversed(children))


def _unnamed_lists(content: Any) -> Iterator[str]:
    """Keys of lists of tensors: some libraries keep averages so, in the order of the model's parameters."""
    for path, mapping in _mappings(content):
        for name, value in mapping.items():
            if isinstance(value, (list, tuple)) and value and all(isinstance(v, Tensor) for v in value):
                yield ".".join((*path, str(name)))


def _preferred(content: Any, sets: dict[str, State]) -> Choice | None:
    """The set that the library which wrote the file would load; None if that is not known."""

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
    # If both have the same names, it is the same model; timm, torchvision and Ultralytics evaluate the average.
    average, raw = averages[0], plain[0] if plain else others[0]
    mean, last = _bare(sets[average]), _bare(sets[raw])
    if mean.keys() == last.keys():
        return chosen(average, "the average over training, as timm does")
    if mean.keys() < last.keys() and 2 * len(mean) > len(last):
        # An average of the parameters only: the buffers are those of the raw weights.
        why = f"the average over training, as timm does, with the missing tensors of {raw!r}"
        return chosen(average, why, last | mean)
    return None


def _bare(state: State) -> State:
    return {canonical(name): value for name, value in state.items() if value.ndim}


def _has_matrix(state: State) -> bool:
    return any(value.ndim > 1 for value in state.values())


def _under(place: str, sets: dict[str, State], key: str) -> State:
    """All tensors whose full name begins with a key, or, if that holds in one set only, whose name in it does."""
    prefix = f"{key}." if key else ""
    named = {
        f"{path}.{name}" if path else name: value
        for path, state in sets.items()
        for name, value in state.items()
    }
    in_sets = [_with_prefix(state, prefix) for state in sets.values()]
    chosen = _with_prefix(named, prefix)
    if not chosen and sum(map(bool, in_sets)) == 1:
        chosen = next(state for state in in_sets if state)
    if not chosen:
        known = [path for path in sets if path]
        known = known or sorted({name.partition(".")[0] for name in named})
        raise BequeathError(f"{place}: weights_key: no {key!r} in it; there are {_listed(known)}")
    return chosen


def _with_prefix(state: State, prefix: str) -> State:
    """The tensors whose name begins with a prefix, under their names without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _described(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict of {', '.join(str(name) for name in list(content)[:5]) or 'nothing'}"
    return f"a {type(content).__name__}"


def _listed(paths: Iterable[str]) -> str:
    return few([path or "(the file itself)" for path in paths], 6)
