from typing import final

@final
class Prefixes:
    def __init__(self, slots: int = 4096) -> None: ...
    @property
    def slots(self) -> int:
        """How many sightings are kept, a power of two of at least 8; the oldest of eight neighbours makes room."""
    def remember(self, prefix_key: int, deployment: int, now_ns: int) -> None:
        """Notes that a deployment was sent a prefix now. A key of 0 stands for none."""
    def holders(self, prefix_key: int, since_ns: int) -> tuple[int, ...]:
        """Deployments that were sent the prefix at that time or later, 8 at most, ascending."""
