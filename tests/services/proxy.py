"""A proxy between a client and a server of the tests, whose connection can be made bad at will.

Gets: the port of a server on this machine. Gives: a port that leads there, and the faults of a
network. Touches: a thread and sockets of its own, which end with it. Never: what goes through.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Literal, Self

CHUNK_BYTES = 2**16
SLOW_STEPS_PER_S = 20
SWITCH_S = 10  # at most, for a fault to be there

Way = Literal["requests", "answers"]


@dataclass
class _Fault:
    """What is wrong just now; a new one stands for each switch, so that counts begin anew."""

    stalled: bool = False
    delay_s: float = 0
    bytes_per_s: float = 0
    cut_bytes: int | None = None  # of one way of a connection, after which it is dropped
    cut_way: Way = "answers"
    cut_once: bool = True
    passed: dict[int, int] = field(default_factory=dict)  # of each connection


class Proxy:
    """A way to a server, open for as long as the context lasts; each fault replaces the last.

    Attributes:
        port: where a client connects, always the same.
        dropped: how many connections were dropped in their middle by `cut_after`.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._fault = _Fault()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._ready = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()))
        self.port = 0
        self.dropped = 0

    def __enter__(self) -> Self:
        self._holder = _bound(0)  # keeps the port ours while nobody listens
        self.port = int(self._holder.getsockname()[1])
        self._thread.start()
        assert self._ready.wait(SWITCH_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._holder.close()

    def restore(self) -> None:
        """All is well again: what was held back goes on, and new connections are taken."""
        self._switch(_Fault())

    def cut(self) -> None:
        """Drop what is connected, and refuse to connect."""
        self._do(self._close())

    def stall(self) -> None:
        """Take connections and requests, and let nothing through."""
        self._switch(_Fault(stalled=True))

    def delay(self, seconds: float) -> None:
        """Let what is answered come so much later, each 64 KiB of it."""
        self._switch(_Fault(delay_s=seconds))

    def slow(self, bytes_per_s: float) -> None:
        """Let so much through, each way of each connection."""
        self._switch(_Fault(bytes_per_s=bytes_per_s))

    def cut_after(self, count: int, *, of: Way = "answers", once: bool = True) -> None:
        """Drop a connection once so many more bytes went through it one way: one, or every one."""
        self._switch(_Fault(cut_bytes=count, cut_way=of, cut_once=once))

    # ---- in the thread

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        await self._listen()
        self._ready.set()
        await self._end.wait()
        await self._close()

    async def _listen(self) -> None:
        if self._server is None:
            listening = _bound(self.port)
            self._server = await asyncio.start_server(self._connected, sock=listening)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which the transports close

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        ends = [writer]
        try:
            onwards = await asyncio.open_connection("127.0.0.1", self._target_port)
            ends.append(onwards[1])
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, onwards[1], "requests", id(task)))
                group.create_task(self._pump(onwards[0], writer, "answers", id(task)))
        except (OSError, ExceptionGroup):
            pass  # one end is gone: so is the other
        except asyncio.CancelledError:
            pass  # cut: the task of a server's connection must not end by an error
        finally:
            self._connections.discard(task)
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, connection: int
    ) -> None:
        writer.transport.set_write_buffer_limits(0)  # what is drained has been sent
        while data := await reader.read(CHUNK_BYTES):
            await self._hold(way)
            while data:
                step = self._step
                await self._forward(data[:step], writer, way, connection)
                data = data[step:]
        with suppress(OSError):
            writer.write_eof()

    @property
    def _step(self) -> int:
        rate = self._fault.bytes_per_s
        return max(1, int(rate / SLOW_STEPS_PER_S)) if rate else CHUNK_BYTES

    async def _hold(self, way: Way) -> None:
        fault, now = self._fault, self._loop.time
        end = now() + fault.delay_s if way == "answers" else 0
        while self._fault.stalled or (self._fault is fault and now() < end):
            await asyncio.sleep(0.01)

    async def _forward(
        self, data: bytes, writer: asyncio.StreamWriter, way: Way, connection: int
    ) -> None:
        fault = self._fault
        if fault.bytes_per_s:
            await asyncio.sleep(len(data) / fault.bytes_per_s)
        cut = False
        if fault.cut_bytes is not None and fault.cut_way == way:
            passed = fault.passed.get(connection, 0)
            cut = passed + len(data) > fault.cut_bytes
            data = data[: fault.cut_bytes - passed]
            fault.passed[connection] = passed + len(data)
        writer.write(data)
        await writer.drain()
        if cut:
            self.dropped += 1
            if fault.cut_once:
                self._fault = _Fault()
            raise ConnectionResetError

    async def _become(self, fault: _Fault) -> None:
        self._fault = fault
        await self._listen()

    def _switch(self, fault: _Fault) -> None:
        self._do(self._become(fault))

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(SWITCH_S)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
