"""Asset stores: the raw bytes, by their hash."""
