"""Mattes of photos and clips: passes, the pipeline, runs of the commands."""
