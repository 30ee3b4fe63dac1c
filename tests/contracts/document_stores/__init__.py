"""The laws of `DocumentStore`, for every scheme that the registry knows."""
