"""Whether a study's models mean the same: asked of each before the long work, so that no number is silently wrong."""

from __future__ import annotations

import logging
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bequeath.data.overlap import also_in
from bequeath.errors import BequeathError, BequeathWarning, few
from bequeath.games.evaluate import effect_on_values
from bequeath.games.inputs import Inputs, config_of
from bequeath.games.runner import values
from bequeath.models.architectures import SOURCES, build
from bequeath.models.outputs import check_outputs
from bequeath.study.config.own import own_names
from bequeath.study.loading.own_inputs import check_preprocessing, check_tokenizer
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Checkpoint, Plan
from bequeath.study.status import Status

logger = logging.getLogger(__name__)

_EXAMPLES = 6
# Values that are made of the logits of all classes together.
_OF_ALL = ("log_odds", "log_probability", "margin")


@dataclass
class Meaning:
    """What was understood of a study's models.

    Attributes
    ----------
    outputs : dict of str to str
        By model: which output is which class, in words.
    precision : dict of str to dict
        By model: what lower precision does to its values on one sample; empty in full precision.
    warnings : list of str
        What a reader must know.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    precision: dict[str, dict[str, float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def understand(parts: StudyParts, plan: Plan, folder: Path, status: Status) -> dict[str, Any]:
    """Ask each model on a few samples what its numbers mean; gives a `Meaning` as a dict.

    Raises
    ------
    BequeathError
        If a model does not mean what the others do, or what the study says: the model is named.
    """
    found = Meaning(warnings=_about_classes(parts) + _about_data(parts, plan))
    stage = status.stage("checking models", len(plan.finals))
    example = _example(parts, plan)
    texts = [str(parts.inputs.data[i].x) for i in plan.samples] if parts.inputs.tokenizer is not None else []
    for name, place in plan.finals.items():
        checkpoint = plan.checkpoints[place]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", BequeathWarning)
            model = parts.models.load(checkpoint, folder)
        found.warnings += [
            f"{name}: {one.message}" for one in told if issubclass(one.category, BequeathWarning)
        ]
        _check_start(parts, checkpoint)
        _check_problem(parts, name, model)
        # What a function of the user's own makes of outputs is its own business.
        known = not own_names(parts.models.config.value)
        check_outputs(model, example, parts.inputs.outputs, f"models.{name}", as_logits=known)
        found.outputs[name] = _outputs(parts, checkpoint)
        found.warnings += check_preprocessing(parts.inputs, checkpoint)
        found.warnings += check_tokenizer(parts.inputs, checkpoint, texts)
        _check_game(parts, plan, name, model, found)
        status.advance(stage, 1)
    for text in found.warnings:
        logger.warning("%s", text)
    return asdict(found)


def _example(parts: StudyParts, plan: Plan) -> Inputs:
    """A few of the samples, the longest text among them."""
    chosen = list(plan.samples[:_EXAMPLES])
    if parts.inputs.tokenizer is not None:
        longest = max(plan.samples, key=lambda i: len(str(parts.inputs.data[i].x)))
        chosen = [longest, *(i for i in chosen if i != longest)]
    return parts.inputs.batch([parts.inputs.data[i] for i in chosen])


def _about_classes(parts: StudyParts) -> list[str]:
    """Folders that are numbers, in an order that whoever counts would not expect."""
    classes, data = parts.inputs.classes, parts.models.config.data
    numbers = [int(name) for name in classes if name.isdecimal()]
    if getattr(data, "classes", None) or len(numbers) < len(classes) or numbers == sorted(numbers):
        return []
    return [
        f"The classes are numbers in the order of their names, as torchvision's ImageFolder has them "
        f"({few(classes, 4)}): where the models count them in the order of the numbers, list data.classes."
    ]


def _about_data(parts: StudyParts, plan: Plan) -> list[str]:
    """Held-out samples that the training data hold too."""
    inputs = parts.inputs
    if inputs.train is None:
        return []
    known = also_in(inputs.data, plan.samples, inputs.train)
    if len(known) == len(plan.samples):
        raise BequeathError(
            f"data: every one of the {len(known)} held-out samples is in the training data too "
            f"({inputs.train.source}); give data that no model was trained on as path"
        )
    if not known:
        return []
    names = few([inputs.data[i].id for i in known], 3)
    return [
        f"{len(known)} of the {len(plan.samples)} held-out samples are in the training data too ({names}): what is "
        "read there may be what was learned by heart."
    ]


def _check_start(parts: StudyParts, checkpoint: Checkpoint) -> None:
    """Refuse a builder that brings no weights: every process would have another model."""
    config = parts.models.config.models[checkpoint.model]
    if checkpoint.file is not None or config.architecture.partition(":")[0] in SOURCES:
        return
    states = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build(
                config.architecture, parts.inputs.outputs or 1, parts.inputs.modality, **config.options
            )
        states.append(model.state_dict())
    other = [name for name, value in states[0].items() if not torch.equal(value, states[1][name])]
    if other:
        raise BequeathError(
            f"models.{checkpoint.model}: {config.architecture} starts at random ({few(other, 3)} differ from one "
            "call to the next); give weights, or load them in the function"
        )


def _check_problem(parts: StudyParts, name: str, model: nn.Module) -> None:
    """Refuse a reading of the outputs that the model's own config contradicts."""
    config = parts.models.config
    problem = getattr(config_of(model), "problem_type", None)
    if config.models[name].probe or not isinstance(config.value, str) or problem is None:
        return
    if problem == "regression":
        raise BequeathError(
            f"models.{name}: its config says problem_type: regression; its outputs are no classes"
        )
    if problem == "multi_label_classification" and config.value in _OF_ALL:
        raise BequeathError(
            f"models.{name}: its config says problem_type: multi_label_classification, and value: {config.value} takes "
            "its labels for classes that exclude each other; give value: label_logit"
        )


def _outputs(parts: StudyParts, checkpoint: Checkpoint) -> str:
    """Which output is which class, in words."""
    inputs, config = parts.inputs, parts.models.config.models[checkpoint.model]
    if inputs.answers is not None:
        return "the next token, one of the answers' first tokens"
    if inputs.outputs == 1:
        return f"one: above 0 is {inputs.classes[1]}" if len(inputs.classes) > 1 else "one"
    if config.probe:
        return "the data's classes in their order (a probe's)"
    names = parts.outputs.names(checkpoint)
    if names is None:
        return "taken to be the data's classes in their order; nothing names them"
    told = "said by the study" if config.labels is not None else "named by its config"
    return f"{few(names, 12)} ({told})"


def _check_game(parts: StudyParts, plan: Plan, name: str, model: nn.Module, found: Meaning) -> None:
    """One mask of one sample's game, and of its retest: whatever fails there fails early."""
    final, first, how = plan.checkpoints[plan.finals[name]], plan.samples[0], parts.inputs.how
    game = parts.games.game(model, first, final)
    if game.n_players != parts.games.n_players and not parts.games.choosing:
        raise BequeathError(
            f"players: {game.n_players} in sample {parts.inputs.data[first].id} of {name}, "
            f"{parts.games.n_players} in the study"
        )
    none = torch.zeros(1, game.n_players, dtype=torch.bool)
    values(model, game.masked, game.value, none, how, name)
    if name in plan.retests:
        again = parts.games.game(model, first, plan.checkpoints[plan.retests[name]])
        values(model, again.masked, again.value, none, how, name)
    if how.autocast is not None:
        found.precision[name] = effect_on_values(game, **asdict(how))
