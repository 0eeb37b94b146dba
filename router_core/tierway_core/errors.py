"""What the core raises.

    CoreError
    |-- TableError              a table that cannot be routed by, at load
    |-- WeightsError            a file of weights that is not valid
    |-- CalibrationError        a calibration that is not valid, or made for other weights
    |-- InvalidTextError        a text that has no UTF-8
    |-- UnknownModelError       a request forces a model that the table does not have
    |-- UnknownTaskTypeError    a request states a task type that the table does not have
    |-- UnknownStrategyError    a request wishes for a strategy that there is not
    |-- NoClassifierError       a request asks for what only the classifier can give
    `-- UnroutableError         a sound request that nothing may answer

Arguments of the wrong type or range (a negative `max_tokens`, a deployment index past the end) are the
caller's bugs and raise TypeError, ValueError, OverflowError or IndexError.
"""

from collections.abc import Iterable

from tierway_core.types import Reason, UnroutableKind

__all__ = [
    "CalibrationError",
    "CoreError",
    "InvalidTextError",
    "NoClassifierError",
    "TableError",
    "UnknownModelError",
    "UnknownStrategyError",
    "UnknownTaskTypeError",
    "UnroutableError",
    "WeightsError",
]


class CoreError(Exception):
    """The root of all errors of the core."""


class TableError(CoreError):
    """A table is not valid.

    Attributes:
        path: the value at fault, such as `models[2].fallback[0]`.
        message: what is wrong with it.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class WeightsError(CoreError):
    """A file of weights is not valid.

    Attributes:
        path: the value at fault, such as `tensors.w1.shape`; empty for the file as a whole.
        message: what is wrong with it.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class CalibrationError(CoreError):
    """A calibration is not valid, or was made for other weights.

    Attributes:
        path: the field at fault, such as `abilities['qwen3-4b'].overall`; empty for the file as a whole.
        message: what is wrong with it.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class InvalidTextError(CoreError):
    """A text holds a lone surrogate, so it has no UTF-8.

    Attributes:
        position: index of the first lone surrogate, in code points.
    """

    def __init__(self, position: int) -> None:
        super().__init__(f"the text has a lone surrogate at index {position}")
        self.position = position


class UnknownModelError(CoreError):
    """No model has this name.

    Attributes:
        name: the name that was asked for.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no model {name!r}")
        self.name = name


class UnknownTaskTypeError(CoreError):
    """No task type has this name.

    Attributes:
        name: the name that was asked for.
        known: the names that there are, in the order of the table.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        names = ", ".join(self.known) if self.known else "none are configured"
        super().__init__(f"there is no task type {name!r} (known: {names})")


class UnknownStrategyError(CoreError):
    """No strategy has this name.

    Attributes:
        name: the name that was asked for.
        known: the names that there are, sorted.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"there is no strategy {name!r} (known: {', '.join(self.known)})")


class NoClassifierError(CoreError):
    """A request asks for what only the classifier can give, and the router decides by the rules of the class.

    Attributes:
        name: the request's field, `cost_quality` or `strategy`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} needs the learned classifier, which is off here")
        self.name = name


class UnroutableError(CoreError):
    """Nothing may answer the request.

    Attributes:
        kind: what is to blame.
        field: path of the request field at fault, such as `preferences.max_cost_usd`; empty when none is.
        reasons: why, as in a decision: what set floor and pins, then what struck each deployment.
        message: the whole in one English sentence.
        predicted_s: where no deployment can make the deadline, the least time that one of those that would do is predicted to take,
            in seconds; else None.
    """

    def __init__(
        self,
        kind: UnroutableKind,
        field: str,
        reasons: tuple[Reason, ...],
        message: str,
        predicted_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.field = field
        self.reasons = reasons
        self.message = message
        self.predicted_s = predicted_s
