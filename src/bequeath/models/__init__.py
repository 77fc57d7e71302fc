"""Where classifiers come from: architectures by name, local weights, linear probes on frozen features."""

from bequeath.models.architectures import build
from bequeath.models.fuse import fused_for_inference
from bequeath.models.mobilenetv2 import MobileNetV2, imagenet_state, mobilenet_v2
from bequeath.models.probe import features, find_head, fit_probe, load_backbone, with_probe
from bequeath.models.state_files import read_state
from bequeath.models.weights import check_outputs, load_model, load_weights, num_outputs

__all__ = [
    "MobileNetV2",
    "build",
    "check_outputs",
    "features",
    "find_head",
    "fit_probe",
    "fused_for_inference",
    "imagenet_state",
    "load_backbone",
    "load_model",
    "load_weights",
    "mobilenet_v2",
    "num_outputs",
    "read_state",
    "with_probe",
]
