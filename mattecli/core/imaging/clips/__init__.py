"""Clips: decoded, encoded and passed through pipes, by PyAV alone."""
