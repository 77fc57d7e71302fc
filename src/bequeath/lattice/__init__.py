"""Arrays over the subsets of n players: transforms, exact and sparse readings. It has no knowledge of models."""
