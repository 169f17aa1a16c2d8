"""A TCP proxy that behaves as a slow line: a delay each way, a rate, and a cut at any moment.

    python shape.py LISTEN TARGET --delay-ms 30 --mbit 10

Both ports are on 127.0.0.1. Each direction sends at the rate and delivers after the delay. What the line has taken and
not yet delivered is counted: `queued` now, `most` at most.
"""
import argparse
import asyncio
import socket
import struct
import threading
import time

# What a router on the way holds before it lets the sender wait.
BUFFER = 256 * 1024
CHUNK = 4096


class Direction:
    """Bytes of one direction, with the moment at which each chunk arrives."""

    def __init__(self, delay, rate):
        self.delay, self.rate = delay, rate
        self.free, self.queued, self.most, self.total = 0.0, 0, 0, 0
        self.chunks, self.room = asyncio.Queue(), asyncio.Event()
        self.room.set()

    async def take(self, reader):
        while data := await reader.read(CHUNK):
            now = time.monotonic()
            self.free = max(self.free, now) + len(data) / self.rate
            self.queued += len(data)
            self.total += len(data)
            self.most = max(self.most, self.queued)
            if self.queued >= BUFFER:
                self.room.clear()
            self.chunks.put_nowait((self.free + self.delay, data))
            await self.room.wait()
        self.chunks.put_nowait((time.monotonic() + self.delay, None))

    async def give(self, writer):
        while True:
            due, data = await self.chunks.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if data is None:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
            self.queued -= len(data)
            if self.queued < BUFFER:
                self.room.set()


class Line:
    """The proxy, in a thread of its own. `down` is the direction towards the user."""

    def __init__(self, listen, target, delay, bits):
        self.target, self.delay, self.rate = target, delay, bits / 8
        self.down, self.pairs = None, []
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._serve, args=(listen, ready), daemon=True).start()
        ready.wait()

    def _serve(self, listen, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", listen))
        ready.set()
        self.loop.run_forever()

    async def _connect(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for w in (writer, inner_writer):
            w.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up, down = Direction(self.delay, self.rate), Direction(self.delay, self.rate)
        self.down = down
        self.pairs = [writer, inner_writer]
        tasks = [up.take(reader), up.give(inner_writer), down.take(inner_reader), down.give(writer)]
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        inner_writer.close()

    def cut(self):
        """Breaks the connection at once: both ends get a reset."""
        def now():
            for w in self.pairs:
                linger = struct.pack("ii", 1, 0)
                w.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                w.transport.abort()
        self.loop.call_soon_threadsafe(now)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("listen", type=int)
    a.add_argument("target", type=int)
    a.add_argument("--delay-ms", type=float, default=30, help="each way")
    a.add_argument("--mbit", type=float, default=10)
    a = a.parse_args()
    line = Line(a.listen, a.target, a.delay_ms / 1000, a.mbit * 1e6)
    while True:
        time.sleep(1)
        if line.down:
            print(f"queued {line.down.queued} B, at most {line.down.most} B, {line.down.total} B in all", flush=True)


if __name__ == "__main__":
    main()
