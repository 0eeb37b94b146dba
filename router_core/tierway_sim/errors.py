"""What simulating raises.

SimError
|-- FaultError    a fault that cannot be read, or that is of nothing in the table
`-- TrafficError  traffic that cannot be replayed
"""

__all__ = ["FaultError", "SimError", "TrafficError"]


class SimError(Exception):
    """The root of all errors of this package."""


class FaultError(SimError):
    """A fault cannot be simulated.

    Attributes:
        text: the fault as it was stated.
        message: what is wrong with it.
    """

    def __init__(self, text: str, message: str) -> None:
        super().__init__(f"{text}: {message}")
        self.text = text
        self.message = message


class TrafficError(SimError):
    """Traffic cannot be replayed; the message says why."""
