"""Games: one classifier on one sample, evaluated to values on masks."""
