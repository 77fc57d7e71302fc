"""From a run's arrays to findings.json: comparisons with their uncertainty, verdicts, examples."""
