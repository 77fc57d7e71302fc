"""Engines do a study's tasks: in this process, in several processes, or on a Ray cluster."""
