"""The only place where pictures are decoded, encoded and searched for."""
