"""Speech into words with times."""
