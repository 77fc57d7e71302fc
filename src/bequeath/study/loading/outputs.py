"""Which output of each model belongs to which of the data's classes."""

from __future__ import annotations

from bequeath.errors import BequeathError, few
from bequeath.models.labels import output_names, output_order
from bequeath.study.config import StudyConfig
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.plan import Checkpoint

Order = tuple[int, ...] | None


class Outputs:
    """The order of each checkpoint's outputs, read once from configs without loading a model."""

    def __init__(self, config: StudyConfig, inputs: StudyInputs) -> None:
        self.config, self.inputs = config, inputs
        self._orders: dict[tuple[str, str | None], Order] = {}

    def order(self, checkpoint: Checkpoint) -> Order:
        """For each class, the index of its output. None: the k-th output is the k-th class.

        Raises
        ------
        BequeathError
            If the outputs' names are not the data's classes.
        """
        key = checkpoint.model, checkpoint.file
        if key not in self._orders:
            self._orders[key] = self._read_order(checkpoint)
        return self._orders[key]

    def names(self, checkpoint: Checkpoint) -> tuple[str, ...] | None:
        """The outputs' names, in their order; None if they have no names."""
        model = self.config.models[checkpoint.model]
        if model.probe or not self._comparable:
            return None
        if model.labels is not None:
            return tuple(model.labels)
        return output_names(model.architecture, checkpoint.file)

    def label(self, checkpoint: Checkpoint, label: int) -> int:
        """The index of a class's output."""
        order = self.order(checkpoint)
        return label if order is None else order[label]

    @property
    def _comparable(self) -> bool:
        # A language model's outputs are tokens, and a single logit has no order.
        return self.inputs.outputs is not None and self.inputs.outputs > 1

    def _read_order(self, checkpoint: Checkpoint) -> Order:
        place, model = f"models.{checkpoint.model}", self.config.models[checkpoint.model]
        classes = self.inputs.classes
        if model.labels is not None and sorted(model.labels) != sorted(classes):
            raise BequeathError(
                f"{place}.labels: {few(model.labels)}; give the data's classes, {few(classes)}, in the order of the "
                "model's outputs"
            )
        return output_order(place, self.names(checkpoint), classes)
