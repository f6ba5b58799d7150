def train() -> None:
    """Placeholder until this command's own change lands."""
