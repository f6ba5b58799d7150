"""Where work is done: here, or by the workers of a Ray cluster."""
