"""Plain C: nothing of it is for Python."""
