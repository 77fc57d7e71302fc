"""Ranks pre-trained models for fine-tuning, by how well their frozen features predict the user's own labels."""
