"""The command line: one thin module a command, which parses, calls the core and prints."""
