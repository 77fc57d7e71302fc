"""Measures which layers had to change in fine-tuning, and recommends what to freeze next time."""
