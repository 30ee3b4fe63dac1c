"""What back ends that are servers share: URLs, credentials, retries; and the hub of models."""
