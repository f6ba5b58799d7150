def evaluate() -> None:
    """Placeholder until this command's own change lands."""
