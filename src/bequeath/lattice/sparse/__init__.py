"""Interactions from sampled masks: designs, candidate terms, penalised fits and their certificates."""
