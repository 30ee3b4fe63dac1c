"""Sources: where the files to index come from, one reader a file."""
