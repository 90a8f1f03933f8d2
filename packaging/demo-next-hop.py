"""A small next hop for the demonstration: takes every message and writes it as DIRECTORY/N.eml. Arguments: port, directory."""
import asyncio
import pathlib
import sys

from aiosmtpd.controller import Controller


class Keep:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        unfinished = self.directory / f"{self.count}.part"
        unfinished.write_bytes(envelope.original_content)
        unfinished.rename(self.directory / f"{self.count}.eml")
        return "250 2.0.0 Ok: arrived"


async def main():
    controller = Controller(Keep(sys.argv[2]), hostname="127.0.0.1", port=int(sys.argv[1]), data_size_limit=64 * 1024 * 1024)
    controller.start()
    await asyncio.Event().wait()


asyncio.run(main())
