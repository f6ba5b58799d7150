"""Cutting and composing clips, frame by frame."""
