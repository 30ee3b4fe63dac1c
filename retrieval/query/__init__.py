"""The query line, one file a step: parse, encode, legs, group, fuse, present."""
