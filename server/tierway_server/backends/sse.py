"""Server-sent events, from bytes to payloads: as much of the format as providers of models use."""

from __future__ import annotations

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
        self._data: list[bytes] = []
        self._size = 0
        self._is_first = True
        self._is_after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes.

        Raises:
            EventTooLongError: an event has more than `max_bytes`.

        """
        payloads: list[bytes] = []
        if self._is_after_cr:  # whose LF may have been cut off
            data = data.removeprefix(b"\n")
        self._is_after_cr = data.endswith(b"\r")
        lines = (self._rest + data).splitlines(keepends=True)
        if lines and self._is_first:
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
            self._is_first = not lines[0].endswith((b"\n", b"\r"))
        self._rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
        for line in lines:
            text = line.rstrip(b"\r\n")
            if not text:
                if self._data:
                    payloads.append(b"\n".join(self._data))
                    self._data.clear()
                    self._size = 0
            elif text.startswith((b"data:", b"error:")):
                value = text.partition(b":")[2]
                self._data.append(value[1:] if value.startswith(b" ") else value)
                self._size += len(line)  # also of an empty one: there may be any number of them
        if len(self._rest) + self._size > self._max_bytes:
            raise EventTooLongError
        return payloads

    def end(self) -> list[bytes]:
        """The stream is over: return what no empty line has ended. It may be cut; whoever reads it finds out."""
        return self.feed(b"\n\n")
