"""Server-sent events, from bytes to payloads: as much of the format as providers of models use; and what comes in one document instead."""

from __future__ import annotations

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DATA = b"data: "


class EventTooLongError(Exception):
    """A line or an event is longer than it may be."""


class EventReader:
    """Takes bytes as they come and returns the payloads of the events that they complete.

    Lines end in LF, CRLF or CR; a byte order mark may stand in front of the first one. Comments (keep-alives) and the fields `event`, `id`
    and `retry` are passed over; `error`, which is no field of the standard, is one of llama.cpp's and taken for `data`.
    """

    __slots__ = ("_data", "_is_after_cr", "_is_first", "_max_bytes", "_rest", "_size")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        """What no line end, or in a stream without CR no empty line, has ended."""
        self._data: list[bytes] = []
        """Of an event whose empty line has not come."""
        self._size = 0
        self._is_first = True
        self._is_after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes.

        Raises:
            EventTooLongError: an event has more than `max_bytes`.

        """
        if self._is_after_cr:  # whose LF may have been cut off
            data = data.removeprefix(b"\n")
        self._is_after_cr = data.endswith(b"\r")
        data = self._rest + data
        if self._is_first:
            if len(data) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(data):
                self._rest = data
                return []
            data = data.removeprefix(_BYTE_ORDER_MARK)
            self._is_first = False
        payloads: list[bytes] = []
        if self._data or b"\r" in data:
            lines = data.splitlines(keepends=True)
            self._rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
            for line in lines:
                self._take(line.rstrip(b"\r\n"), payloads)
        else:
            # As all providers write: the same, in half the time.
            *events, self._rest = data.split(b"\n\n")
            for event in events:
                if event.startswith(_DATA) and b"\n" not in event:
                    payloads.append(event[len(_DATA) :])
                else:
                    for text in event.split(b"\n"):
                        self._take(text, payloads)
                    self._take(b"", payloads)
        if len(self._rest) + self._size > self._max_bytes:
            raise EventTooLongError
        return payloads

    def end(self) -> list[bytes]:
        """The stream is over: return what no empty line has ended. It may be cut; whoever reads it finds out."""
        return self.feed(b"\n\n")

    def _take(self, line: bytes, payloads: list[bytes]) -> None:
        """Take a line without its end."""
        if not line:
            if self._data:
                payloads.append(b"\n".join(self._data))
                self._data.clear()
                self._size = 0
        elif line.startswith((b"data:", b"error:")):
            value = line.partition(b":")[2]
            self._data.append(value.removeprefix(b" "))
            self._size += len(line) + 1  # also of an empty one: there may be any number of them


class WholeDocument:
    """What an `EventReader` is for a stream, for an answer that comes whole: its only payload is all of the bytes."""

    __slots__ = ("_max_bytes", "_pieces", "_size")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes.

        Raises:
            EventTooLongError: there are more than `max_bytes`.

        """
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._max_bytes:
            raise EventTooLongError
        return []

    def end(self) -> list[bytes]:
        """The document, now that it is complete."""
        return [b"".join(self._pieces)]
