"""The settings of these tests are in lattice_settings.py."""

from lattice_settings import one_thread

__all__ = ["one_thread"]
