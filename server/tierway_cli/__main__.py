"""`python -m tierway_cli`: the same as the `tierway` command."""

from tierway_cli.main import main

if __name__ == "__main__":  # an engine's process imports this module once more, under another name
    main()
