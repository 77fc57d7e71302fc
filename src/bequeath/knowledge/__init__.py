"""What the interactions of several models have in common: all formulas of the comparison, usable without a study."""
