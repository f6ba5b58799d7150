def build_dataset() -> None:
    """Placeholder until this command's own change lands."""
