"""Subtitles and transcripts."""
