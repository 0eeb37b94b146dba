"""Talk between the processes of one server: Unix sockets, one connection for each question, frames of MessagePack.

A connection is all the state there is: whoever asks sends one frame and reads frames until the last one; closing it gives the question
up, and the kernel closes it for a process that was killed. Each question has the kernel's buffers and flow control to itself, so that a
slow reader holds up its own answer only (docs/adr/0013).

Names are abstract, so nothing is left in the file system by a process that was killed; and only processes of the same user are
listened to. Linux only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import msgspec

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LENGTH = struct.Struct(">I")
# What no frame exceeds: the largest message that the configuration allows on the wire, and as much again for the framing of its parts.
_LARGEST_BYTES = 1 << 31
# Connections that wait to be accepted; the kernel's own limit is 4,096. A full queue refuses at once.
_BACKLOG = 4_096
# How long a caller may take to say what it wants.
_QUESTION_S = 10.0
_PEER = struct.Struct("3i")  # pid, uid, gid: struct ucred


class GarbledError(Exception):
    """What came is no frame of ours."""


class Frames(Generic[T]):
    """Messages of type `T` in, messages of any type out, over one connection."""

    __slots__ = ("_decoder", "_reader", "_writer")

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: msgspec.msgpack.Decoder[T]
    ) -> None:
        self._reader, self._writer, self._decoder = reader, writer, decoder

    async def read(self) -> T:
        """The next message.

        Raises:
            EOFError: the other side has gone.
            OSError: likewise, and it took the connection along.
            GarbledError: what came is none.

        """
        [length] = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
        if length > _LARGEST_BYTES:
            raise GarbledError(f"a frame of {length} bytes")
        body = await self._reader.readexactly(length)
        try:
            return self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise GarbledError(str(error)) from None

    async def write(self, message: object) -> None:
        """Send a message. Waits while the other side reads too slowly.

        Raises:
            OSError: the other side has gone.

        """
        body = msgspec.msgpack.encode(message)
        self._writer.write(_LENGTH.pack(len(body)) + body)
        await self._writer.drain()

    async def until_left(self) -> None:
        """Return when the other side has gone, or says more than was asked of it."""
        with contextlib.suppress(OSError):
            await self._reader.read(1)


@asynccontextmanager
async def asking(name: str, question: object, decoder: msgspec.msgpack.Decoder[T]) -> AsyncIterator[Frames[T]]:
    """Ask whoever listens on `name`, and read the answer in the block; its end gives up whatever is left of it.

    Args:
        name: of the socket.
        question: the one message to send.
        decoder: of the answer's messages.

    Raises:
        OSError: nobody listens, or too many wait already.

    """
    reader, writer = await asyncio.open_unix_connection(sock=_connected(name))
    try:
        frames = Frames(reader, writer, decoder)
        await frames.write(question)
        yield frames
    finally:
        writer.transport.abort()  # what has not been sent is of no use any more


class Listener(Generic[T]):
    """Answers questions of type `T` on a local socket. Lives on the event loop."""

    def __init__(
        self,
        name: str,
        decoder: msgspec.msgpack.Decoder[T],
        answer: Callable[[T, Frames[Any]], Coroutine[Any, Any, None]],
    ) -> None:
        """Prepare to listen.

        Args:
            name: of the socket.
            decoder: of questions.
            answer: answers one of them; cancelled when the one who asked has gone.

        """
        self._name = name
        self._decoder = decoder
        self._answer = answer
        self._answering: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Listen until `close`.

        Raises:
            OSError: somebody listens there already.

        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(_address(self._name))
        except BaseException:
            listener.close()
            raise
        self._server = await asyncio.start_unix_server(self._connected, sock=listener, backlog=_BACKLOG)

    async def close(self) -> None:
        """Stop listening, and break off what is being answered."""
        if self._server is not None:
            self._server.close()
        for task in self._answering:
            task.cancel()
        if self._answering:
            await asyncio.wait(self._answering)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._handle(Frames(reader, writer, self._decoder), writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _handle(self, frames: Frames[T], writer: asyncio.StreamWriter) -> None:
        try:
            if not _is_ours(writer):
                return
            async with asyncio.timeout(_QUESTION_S):
                question = await frames.read()
            await _while_asked(frames, self._answer(question, frames))
        except (EOFError, OSError):
            pass  # it left, or never asked
        except GarbledError as error:
            logger.warning("garbage on a local socket", extra={"socket": self._name, "error": str(error)})
        except Exception:  # the edge of the process: whoever asked sees the connection closed
            logger.exception("unexpected error", extra={"socket": self._name})
        finally:
            writer.close()  # what was written last still goes out


async def _while_asked(frames: Frames[Any], answering: Coroutine[Any, Any, None]) -> None:
    """Await an answer for as long as somebody waits for it."""
    task = asyncio.create_task(answering)
    leaving = asyncio.create_task(frames.until_left())
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        task.cancel()
        # Waited for: what it releases is released when the connection is seen closed.
        await asyncio.wait((task, leaving))
    if not task.cancelled():
        task.result()


def _connected(name: str) -> socket.socket:
    """A connection. A Unix socket connects at once or not at all, so nothing blocks here."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.connect(_address(name))
    except BaseException:
        connection.close()
        raise
    return connection


def _address(name: str) -> str:
    return f"\0{name}"


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """Whether the other process belongs to the same user: abstract names have no permissions of their own."""
    credentials = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, uid, _ = _PEER.unpack(credentials)
    return bool(uid == os.getuid())
