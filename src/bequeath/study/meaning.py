"""Checks before the long work that all models of a study mean the same by their outputs, so that no number is wrong."""

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
# Values that are computed from the logits of all classes.
_OF_ALL_CLASSES = ("log_odds", "log_probability", "margin")


@dataclass
class Meaning:
    """The result of the checks.

    Attributes
    ----------
    outputs : dict of str to str
        By model, which output is which class, in words.
    precision : dict of str to dict
        By model, how much lower precision changes its values on one sample; empty in full precision.
    warnings : list of str
        What a reader must know.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    precision: dict[str, dict[str, float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def understand(parts: StudyParts, plan: Plan, folder: Path, status: Status) -> dict[str, Any]:
    """Check on a few samples what each model's outputs mean.

    Returns
    -------
    dict
        The fields of a `Meaning`.

    Raises
    ------
    BequeathError
        If a model contradicts the other models or the study; names the model.
    """
    meaning = Meaning(warnings=_about_classes(parts) + _about_data(parts, plan))
    stage = status.stage("checking models", len(plan.finals))
    example = _example(parts, plan)
    texts = [str(parts.inputs.data[i].x) for i in plan.samples] if parts.inputs.tokenizer is not None else []
    for name, place in plan.finals.items():
        checkpoint = plan.checkpoints[place]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", BequeathWarning)
            model = parts.models.load(checkpoint, folder)
        meaning.warnings += [
            f"{name}: {warning.message}"
            for warning in caught
            if issubclass(warning.category, BequeathWarning)
        ]
        _check_start(parts, checkpoint)
        _check_problem(parts, name, model)
        # A user's own value may expect outputs that are not logits.
        needs_logits = not own_names(parts.models.config.value)
        check_outputs(model, example, parts.inputs.outputs, f"models.{name}", as_logits=needs_logits)
        meaning.outputs[name] = _outputs(parts, checkpoint)
        meaning.warnings += check_preprocessing(parts.inputs, checkpoint)
        meaning.warnings += check_tokenizer(parts.inputs, checkpoint, texts)
        _check_game(parts, plan, name, model, meaning)
        status.advance(stage, 1)
    for text in meaning.warnings:
        logger.warning("%s", text)
    return asdict(meaning)


def _example(parts: StudyParts, plan: Plan) -> Inputs:
    """A batch of a few samples, with the longest text among them."""
    chosen = list(plan.samples[:_EXAMPLES])
    if parts.inputs.tokenizer is not None:
        longest = max(plan.samples, key=lambda i: len(str(parts.inputs.data[i].x)))
        chosen = [longest, *(i for i in chosen if i != longest)]
    return parts.inputs.batch([parts.inputs.data[i] for i in chosen])


def _about_classes(parts: StudyParts) -> list[str]:
    """A warning if classes are numbers that are not sorted by size."""
    classes, data = parts.inputs.classes, parts.models.config.data
    numbers = [int(name) for name in classes if name.isdecimal()]
    if getattr(data, "classes", None) or len(numbers) < len(classes) or numbers == sorted(numbers):
        return []
    return [
        f"The classes are numbers sorted as text, as in torchvision's ImageFolder ({few(classes, 4)}). If the models' "
        "outputs are sorted by number, list the classes in data.classes."
    ]


def _about_data(parts: StudyParts, plan: Plan) -> list[str]:
    """A warning about held-out samples that are also training data."""
    inputs = parts.inputs
    if inputs.train is None:
        return []
    known = also_in(inputs.data, plan.samples, inputs.train)
    if len(known) == len(plan.samples):
        raise BequeathError(
            f"data: all {len(known)} held-out samples are also in the training data ({inputs.train.source}); give data "
            "that no model was trained on as path"
        )
    if not known:
        return []
    names = few([inputs.data[i].id for i in known], 3)
    return [
        f"{len(known)} of the {len(plan.samples)} held-out samples are also in the training data ({names}): their "
        "interactions may show what was memorised."
    ]


def _check_start(parts: StudyParts, checkpoint: Checkpoint) -> None:
    """Refuse a builder with random weights, since every process would get a different model."""
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
            f"models.{checkpoint.model}: {config.architecture} has random weights ({few(other, 3)} differ from one "
            "call to the next); give weights, or load them in the function"
        )


def _check_problem(parts: StudyParts, name: str, model: nn.Module) -> None:
    """Refuse a value that contradicts the model's own config."""
    config = parts.models.config
    problem = getattr(config_of(model), "problem_type", None)
    if config.models[name].probe or not isinstance(config.value, str) or problem is None:
        return
    if problem == "regression":
        raise BequeathError(
            f"models.{name}: its config says problem_type: regression, so its outputs are no classes; give a classifier"
        )
    if problem == "multi_label_classification" and config.value in _OF_ALL_CLASSES:
        raise BequeathError(
            f"models.{name}: its config says problem_type: multi_label_classification, but value: {config.value} is "
            "for classes that exclude each other; give value: label_logit"
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
        return "without names; assumed to be the data's classes in their order"
    source = "named by the study" if config.labels is not None else "named by its config"
    return f"{few(names, 12)} ({source})"


def _check_game(parts: StudyParts, plan: Plan, name: str, model: nn.Module, meaning: Meaning) -> None:
    """Evaluate one mask of one sample's game and of its retest, so that errors appear early."""
    final, first, how = plan.checkpoints[plan.finals[name]], plan.samples[0], parts.inputs.how
    game = parts.games.game(model, first, final)
    if game.n_players != parts.games.n_players and not parts.games.choosing:
        raise BequeathError(
            f"players: sample {parts.inputs.data[first].id} of {name} has {game.n_players}, but the study has "
            f"{parts.games.n_players}; give the same number for all samples"
        )
    none = torch.zeros(1, game.n_players, dtype=torch.bool)
    values(model, game.masked, game.value, none, how, name)
    if name in plan.retests:
        retest = parts.games.game(model, first, plan.checkpoints[plan.retests[name]])
        values(model, retest.masked, retest.value, none, how, name)
    if how.autocast is not None:
        meaning.precision[name] = effect_on_values(game, **asdict(how))
