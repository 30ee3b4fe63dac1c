"""Builds the files of the starter's encoders from packages and a folder of captioned photos."""
