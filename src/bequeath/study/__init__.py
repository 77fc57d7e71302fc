"""A study: its file, its run, its store and its findings."""
