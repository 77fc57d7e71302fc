"""Trains, runs and pools several studies over seeds, and writes one page of results."""
