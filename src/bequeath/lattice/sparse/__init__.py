"""Interactions from few masks: designs, candidate terms, penalised fits and their certificates."""
