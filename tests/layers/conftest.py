"""Models and pictures of these tests are made in planted_blocks.py."""

from planted_blocks import project, state

__all__ = ["project", "state"]
