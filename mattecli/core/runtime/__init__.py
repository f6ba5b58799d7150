"""Networks made ready to run, all behind one protocol."""
