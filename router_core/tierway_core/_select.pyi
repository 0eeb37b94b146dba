from typing import final

from tierway_core._classifier import Classifier
from tierway_core._decision import Decision
from tierway_core._prefixes import Prefixes
from tierway_core._request import Request
from tierway_core._state import State
from tierway_core.table import Table

@final
class Router:
    def __init__(
        self, table: Table, state: State, classifier: Classifier | None = None, prefixes: Prefixes | None = None
    ) -> None: ...
    def decide(self, request: Request, now_ns: int = 0, draw: int = 0) -> Decision: ...
