"""The study file, section by section: what is compared, on what, and how."""

from bequeath.study.config.study import ModelConfig, StudyConfig, checkpoint_files, load_study, with_engine

__all__ = ["ModelConfig", "StudyConfig", "checkpoint_files", "load_study", "with_engine"]
