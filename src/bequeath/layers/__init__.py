"""Which layers had to change in fine-tuning, and what to freeze next time: from two models and labelled data."""
