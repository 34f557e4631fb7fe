"""Which channels and samples take part in a step."""
