"""From a study's configuration to live objects: its data, its models, its games."""
