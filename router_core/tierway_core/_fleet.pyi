from typing import final

from tierway_core._state import State
from tierway_core.table import Table

@final
class Fleet:
    def __init__(self, table: Table, state: State) -> None: ...
