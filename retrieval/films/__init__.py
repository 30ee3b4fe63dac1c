"""Films and recordings: what is in their containers, decoded from one end to the other."""
