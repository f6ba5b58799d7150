"""Sets of composites, and samples to train on."""
