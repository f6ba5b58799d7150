"""Network, training, datasets, metrics, inference, imaging; knows nothing of the command line."""
