"""Document stores: documents and sightings, by id, by words, by field."""
