"""``python -m mattecli`` is ``matte``; torchrun needs a module to start."""

from mattecli.cli.app import main

if __name__ == "__main__":
    main()
