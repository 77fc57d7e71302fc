"""Makes a study's data, models and games from its configuration."""
