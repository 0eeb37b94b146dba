"""The `tierway` command: serves, asks a server, and checks configuration.

A client of the service like any other: it imports the server only inside `serve` and `config`, so that asking starts at once.
"""
