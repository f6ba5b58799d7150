def predict() -> None:
    """Placeholder until this command's own change lands."""
