"""The arrays of a run, what they depend on, and what of them still holds when a study changes."""
