"""Interactions of several models become what they have in common: every formula, usable without a study."""
