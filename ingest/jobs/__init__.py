"""Jobs of schedulers."""
