"""Encoders: inputs into unit vectors of a space."""
