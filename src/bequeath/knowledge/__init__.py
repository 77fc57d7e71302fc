"""Interactions of several models become findings."""
