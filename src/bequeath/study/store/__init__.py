"""The arrays of a run, the identity that they depend on, and how they are carried over when a study changes."""
