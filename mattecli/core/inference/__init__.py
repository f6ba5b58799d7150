"""Mattes of photos: passes, the pipeline, runs of the commands."""
