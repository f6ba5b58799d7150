"""The matting networks and their weights on disk."""
