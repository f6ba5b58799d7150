"""The recipes that come with the program, as TOML."""
