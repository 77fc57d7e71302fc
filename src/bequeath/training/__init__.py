"""Fine-tuned and from-scratch runs with log-spaced checkpoints."""
