"""A TCP proxy that gives each connection to the next of several servers, or to the one after it if that refuses."""

import asyncio
import itertools
import socket
import sys
from pathlib import Path

from lab.process import Daemon
from server.durability.hard import lasting_port


class Balancer(Daemon):
    """`with Balancer(directory, servers) as balancer`, a process of its own with the servers' certificate."""

    def __init__(self, directory: Path, servers):
        super().__init__(directory)
        self.port = lasting_port()
        self.servers = servers
        self.ca_file, self.client = servers[0].ca_file, None

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def command(self):
        return [sys.executable, __file__, str(self.port), *(str(server.port) for server in self.servers)]

    def environment(self):
        return {"PYTHONPATH": Path(__file__).parents[2]}

    def ping(self):
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()


async def main(port, *servers):
    turns = itertools.count()

    async def serve(reader, writer):
        first = next(turns)
        for number in range(len(servers)):
            try:
                upstream = await asyncio.open_connection("127.0.0.1", servers[(first + number) % len(servers)])
                break
            except OSError:
                continue
        else:
            writer.close()
            return
        await asyncio.gather(pipe(reader, upstream[1]), pipe(upstream[0], writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1000)
    async with listener:
        await listener.serve_forever()


async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
