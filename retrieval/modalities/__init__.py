"""Readers: the bytes of one kind of file into documents."""
