"""The few things that the lab does with sockets."""

from __future__ import annotations

import socket
import struct
import sys
import time

import anyio
from anyio.lowlevel import checkpoint

_SIOCOUTQNSD = 0x894B  # Linux: bytes in the send queue that have not left yet.
_PATIENCE = 1.0


def bound(port: int) -> socket.socket:
    """A socket on a port of 127.0.0.1 (0: any that is free) that does not listen yet."""
    sock = socket.socket()
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


async def receive(sock: socket.socket) -> bytes:
    """What has come in, at least one byte; nothing once the other side is gone, however it went."""
    await anyio.wait_readable(sock)
    try:
        return sock.recv(65_536)
    except BlockingIOError:
        return await receive(sock)
    except ConnectionError:
        return b""


def ended(sock: socket.socket) -> bool:
    """Whether one side has ended it: all that the other side had sent is read, and no more will come."""
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:  # A reset, or closed here since the end was noticed.
        return True


async def send(sock: socket.socket, data: bytes) -> None:
    """Hand all of `data` to the system. Others run before, never after: what follows sees the state as it is now."""
    await checkpoint()
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[sock.send(rest) :]
        except BlockingIOError:
            await anyio.wait_writable(sock)


async def flush(sock: socket.socket) -> None:
    """Wait until all that was sent has left, so that a reset cannot take it back; a second at most."""
    if sys.platform == "linux":
        import fcntl

        give_up = time.monotonic() + _PATIENCE
        while time.monotonic() < give_up:
            (unsent,) = struct.unpack("i", fcntl.ioctl(sock, _SIOCOUTQNSD, bytes(4)))
            if not unsent:
                break
            await anyio.sleep(0.001)


def reset(sock: socket.socket) -> None:
    """Close with a reset (RST), so that the other side reads an error, not an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
