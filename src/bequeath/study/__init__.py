"""A study: which models, samples and settings; its run, its store, its findings."""
