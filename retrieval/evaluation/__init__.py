"""Measures and data sets: how good are the answers."""
