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
from collections.abc import AsyncIterator, Awaitable, Callable
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


async def listen(
    name: str, decoder: msgspec.msgpack.Decoder[T], answer: Callable[[T, Frames[Any]], Awaitable[None]]
) -> asyncio.Server:
    """Listen on `name`: each question is answered by `answer`, which is cancelled when the one who asked has gone.

    Raises:
        OSError: somebody listens there already.

    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames(reader, writer, decoder)
        try:
            if not _is_ours(writer):
                return
            async with asyncio.timeout(_QUESTION_S):
                question = await frames.read()
            await _while_asked(frames, answer(question, frames))
        except (EOFError, OSError, TimeoutError):
            pass  # it left
        except GarbledError as error:
            logger.warning("garbage on a local socket", extra={"socket": name, "error": str(error)})
        finally:
            writer.close()  # what was written last still goes out

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_address(name))
    except BaseException:
        listener.close()
        raise
    return await asyncio.start_unix_server(handle, sock=listener, backlog=_BACKLOG)


async def _while_asked(frames: Frames[Any], answering: Awaitable[None]) -> None:
    """Await an answer for as long as somebody waits for it."""
    task = asyncio.ensure_future(answering)
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
