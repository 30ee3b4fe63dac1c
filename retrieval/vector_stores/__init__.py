"""Vector stores: one channel's vectors, searched by cosine."""
