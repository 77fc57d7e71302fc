"""Where classifiers come from: architectures by name, weights from files and hubs, adapters, linear probes."""

from bequeath.models.adapters import load_adapter
from bequeath.models.architectures import build
from bequeath.models.fuse import fused_for_inference
from bequeath.models.mlp import MLP, mlp
from bequeath.models.mobilenetv2 import MobileNetV2, imagenet_state, mobilenet_v2
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.models.outputs import check_outputs, num_outputs
from bequeath.models.preprocessing import Preprocessing
from bequeath.models.probe import features, find_head, fit_probe, load_backbone, with_probe
from bequeath.models.series import checkpoint_series
from bequeath.models.state_files import read_state
from bequeath.models.weights import load_model, load_weights

__all__ = [
    "MLP",
    "MobileNetV2",
    "Preprocessing",
    "build",
    "check_outputs",
    "checkpoint_series",
    "features",
    "find_head",
    "fit_probe",
    "fused_for_inference",
    "imagenet_state",
    "load_adapter",
    "load_backbone",
    "load_model",
    "load_weights",
    "mlp",
    "mobilenet_v2",
    "num_outputs",
    "preprocessing_of",
    "read_state",
    "with_probe",
]
