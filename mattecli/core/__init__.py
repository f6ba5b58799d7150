"""Network, training, datasets, metrics, inference and imaging; knows nothing of the command line."""
