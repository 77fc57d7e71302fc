"""One classifier and one sample become a value table."""
