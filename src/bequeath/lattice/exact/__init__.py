"""Exact readings of value tables: the Moebius transform, and the sparsest AND-OR split with its certificate."""
