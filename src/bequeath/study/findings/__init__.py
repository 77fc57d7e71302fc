"""Makes findings.json from a run's arrays: comparisons with their uncertainty, verdicts, examples."""
