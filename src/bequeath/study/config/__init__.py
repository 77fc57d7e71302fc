"""The study file, section by section: what is compared, on what, and how."""

from bequeath.study.config.models import ModelConfig, checkpoint_files
from bequeath.study.config.study import StudyConfig, load_study, with_engine

__all__ = ["ModelConfig", "StudyConfig", "checkpoint_files", "load_study", "with_engine"]
