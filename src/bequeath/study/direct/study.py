"""A study of two models, a control and twins, from the arguments of a command; the other settings are chosen here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bequeath.data.images import Images
from bequeath.data.samples import Dataset, split
from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.models.weights import saved_outputs
from bequeath.study.config import StudyConfig
from bequeath.study.config.data import DataConfig, modality
from bequeath.study.config.validation import one_line
from bequeath.study.direct.data import data_section
from bequeath.study.direct.models import Source, model_source, on_base, unique_names
from bequeath.study.direct.players import USUAL, cells, number, runs_of_words
from bequeath.study.loading.inputs import StudyInputs

# Enough for an interval; with two models of a ResNet-18's size this takes some minutes on two cores.
_SAMPLES, _MASKS = 24, 256
# Accuracy is cheap to measure, and more samples show more of what was forgotten.
_ACCURACY_SAMPLES = 2000
_HOLDOUT = 0.5
_USUAL_SIZE = 224
# Number of pictures whose sizes are compared.
_SIZES_CHECKED = 16


@dataclass(frozen=True)
class Wanted:
    """The user's request. Settings that are None are chosen by `direct_study`.

    Attributes
    ----------
    before, after, control : str
        Models, as for `model_source`.
    twins : sequence of str
        Models of the same recipe as the model after, with other seeds.
    data, train, text, label : str
        As for `data_section`.
    architecture : str
        Of state files.
    players : str
        ``6x6`` cells of pictures, or a number: of superpixels, or of runs of words.
    masks : str
        A number or ``auto``.
    samples, size, seed : int
        Number of samples, size of pictures in pixels, and seed.
    focus : {"forgotten"}, optional
        Read mostly samples that one of the models before and after has right and the other wrong.
    device : str, optional
        cpu or cuda; by default cuda if there is a GPU.
    training : bool
        Whether training data are always needed, not only for probes.
    """

    before: str
    after: str
    data: str
    control: str | None = None
    twins: Sequence[str] = ()
    train: str | None = None
    text: str | None = None
    label: str | None = None
    architecture: str | None = None
    players: str | None = None
    masks: str | None = None
    samples: int | None = None
    size: int | None = None
    seed: int = 0
    focus: str | None = None
    device: str | None = None
    training: bool = False


def direct_study(wanted: Wanted) -> tuple[StudyConfig, list[str]]:
    """Make a study from a request.

    Returns
    -------
    config : StudyConfig
    chosen : list of str
        The settings that were chosen, one line each.

    Raises
    ------
    BequeathError
        If a model or the data cannot be used; names the argument.
    """
    sources = _sources(wanted)
    data = data_section(wanted.data, wanted.train, wanted.text, wanted.label)
    names = dict(zip(sources, unique_names(list(sources.values()), list(sources)), strict=True))
    twins = [names[role] for role in sources if role.startswith("twin")]
    roles: dict[str, Any] = {role: names[role] for role in ("before", "after", "control") if role in names}
    content: dict[str, Any] = {
        "name": f"{names['before']} and {names['after']}",
        "models": {names[role]: dict(source.section) for role, source in sources.items()},
        "roles": {**roles, **({"twins": {"after": twins}} if twins else {})},
        "data": data,
        **USUAL[_modality(data)],
        "masks": _masks(wanted.masks),
        "seed": wanted.seed,
        **({} if wanted.focus is None else {"focus": wanted.focus}),
        **({} if wanted.device is None else {"evaluation": {"device": wanted.device}}),
    }
    chosen = _choose_size(wanted, content, sources["before"])
    inputs = StudyInputs(_checked(content))
    chosen += _choose_probes(content, sources, names, inputs, wanted.training)
    held_out = _held_out(inputs.data, content)
    content["samples"] = min(_SAMPLES, len(held_out)) if wanted.samples is None else wanted.samples
    content["accuracy_samples"] = max(2, min(_ACCURACY_SAMPLES, len(held_out)))
    chosen += _choose_players(wanted, content, held_out, inputs)
    return _checked(content), chosen


def _sources(wanted: Wanted) -> dict[str, Source]:
    given = {"before": wanted.before, "after": wanted.after}
    if wanted.control is not None:
        given["control"] = wanted.control
    given |= {f"twin {number}": twin for number, twin in enumerate(wanted.twins, 1)}
    sources: dict[str, Source] = {}
    for role, text in given.items():
        place = role.upper() if role in ("before", "after") else f"--{role.partition(' ')[0]}"
        source = model_source(place, text, wanted.architecture)
        sources[role] = on_base(source, sources["before"]) if source.adapter and sources else source
    if sources["before"].adapter:
        raise BequeathError(
            f"BEFORE: {wanted.before} is a PEFT adapter, not a whole model; give the model that it adapts"
        )
    return sources


def _modality(data: Mapping[str, Any]) -> Modality:
    return modality(TypeAdapter(DataConfig).validate_python(data))


def _checked(content: Mapping[str, Any]) -> StudyConfig:
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        raise one_line(error, "arguments", "", tuple(StudyConfig.model_fields), {}) from None


def _masks(given: str | None) -> int | str:
    if given is None:
        return _MASKS
    return given if given == "auto" else number("--masks", given, "a number or auto")


def _choose_size(wanted: Wanted, content: dict[str, Any], before: Source) -> list[str]:
    """Choose the size of pictures, if neither the user nor the model before's library gives it."""
    data = content["data"]
    if _modality(data) != "image":
        if wanted.size is not None:
            raise BequeathError(f"--size: is for pictures, but {wanted.data} holds none; leave it out")
        return []
    if wanted.size is not None:
        data["size"] = wanted.size
        return []
    if preprocessing_of(before.section["architecture"], before.section.get("weights")) is not None:
        return []
    # Models of users' own builders mostly take small square pictures in their own size.
    pictures = StudyInputs(_checked(content)).data
    sizes = (
        {pictures.open(i).size for i in range(min(len(pictures), _SIZES_CHECKED))}
        if isinstance(pictures, Images)
        else set()
    )
    width, height = sizes.pop() if len(sizes) == 1 else (0, 1)
    side = width if width == height else _USUAL_SIZE
    data["size"] = side
    return [
        f"pictures have {side} x {side} pixels and ImageNet's normalisation, since the preprocessing of "
        f"{content['roles']['before']} is not known (change it by --size, or by mean and std in a study file)"
    ]


def _choose_probes(
    content: dict[str, Any],
    sources: Mapping[str, Source],
    names: Mapping[str, str],
    inputs: StudyInputs,
    training: bool,
) -> list[str]:
    """Choose a probe for each backbone whose head is for other classes, or that has none."""
    classes, chosen = len(inputs.classes), []
    for role, source in sources.items():
        section = content["models"][names[role]]
        weights = section.get("weights")
        if weights is None or "base" in section:
            continue
        outputs = saved_outputs(
            section["architecture"], weights, inputs.modality, **section.get("options", {})
        )
        if outputs == classes:
            continue
        if outputs == 1 and classes == 2:
            raise BequeathError(
                f"{source.place}: {names[role]} has one output for two classes; write a study file (bequeath init) "
                "with value: binary_logit"
            )
        section["probe"] = True
        has = "no head" if outputs is None else f"{outputs:,} outputs"
        chosen.append(
            f"{source.place}: {names[role]} has {has}, but the data have {classes} classes: a linear probe on its "
            "features is read instead"
        )
    data = content["data"]
    probed = any(section.get("probe") for section in content["models"].values())
    if (probed or training) and inputs.train is None:
        data["holdout"] = _HOLDOUT
        part = f"{1 - _HOLDOUT:.0%} of the data"
        chosen.append(
            (f"{part} serve as training data" if training else f"the probe is fitted on {part}")
            + ", the rest is held out (give training data by --train)"
        )
    return chosen


def _held_out(data: Dataset, content: Mapping[str, Any]) -> Dataset:
    """The samples that stay held out once part of the data serves for training."""
    share = content["data"].get("holdout")
    return data if share is None else split(data, share, content["seed"])[1]


def _choose_players(
    wanted: Wanted, content: dict[str, Any], held_out: Dataset, inputs: StudyInputs
) -> list[str]:
    """Choose cells, runs of words or columns, and for texts a filler that the tokenizer has."""
    if inputs.modality == "table":
        if wanted.players is not None:
            raise BequeathError(
                "--players: the players of a table are its columns; leave it out, or group them in a study file"
            )
        return []
    if inputs.modality == "image":
        if wanted.players is not None:
            content["players"] = cells(wanted.players)
        return []
    chosen = []
    if wanted.players is None:
        count = runs_of_words([str(held_out[i].x) for i in range(len(held_out))], content["samples"])
        chosen.append(
            f"players are {count} runs of words; texts with fewer words are not used (change it by --players)"
        )
    else:
        count = number("--players", wanted.players)
    content["players"] = {"kind": "words", "n_players": count}
    if inputs.tokenizer.mask_token is None:
        content["baseline"] = "removal"
        chosen.append("hidden words are removed, since the tokenizer has no mask token")
    return chosen
