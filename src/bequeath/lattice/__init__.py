"""Arrays over the subsets of n players; knows no model."""
