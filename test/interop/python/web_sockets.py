"""A WebSocket server and client of the interop tests with `websockets`, which do as node/websocket.mjs does."""

import asyncio
import hashlib
import json
import uuid
from urllib.parse import parse_qs, urlsplit

PIECE_BYTES = 1_000
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 4 << 20]
CODES = [1000, 1001, 1003, 1008, 1011, 3000, 4999]
MESSAGES = 10_000
AT_ONCE = 50


def serve(host, port):
    from websockets.asyncio.server import serve
    from websockets.exceptions import ConnectionClosed

    ended = {}

    def end_of(key):
        if key not in ended:
            ended[key] = asyncio.get_running_loop().create_future()
        return ended[key]

    async def answer(socket):
        url = urlsplit(socket.request.path)
        query = parse_qs(url.query)
        key = query.get("id", [None])[0]
        if url.path == "/pieces":
            async for message in socket:
                await socket.send([message[at : at + PIECE_BYTES] for at in range(0, len(message), PIECE_BYTES)])
        elif url.path == "/ping":
            await (await socket.ping(b"there?"))
            await socket.send("pong there?")
            await socket.wait_closed()
        elif url.path == "/close":
            await socket.close(int(query["code"][0]), "as asked")
        elif url.path == "/cut":
            socket.transport.abort()
        elif url.path == "/ended":
            await socket.send(str(await end_of(key)))
            await socket.wait_closed()
        else:
            try:
                while True:
                    await socket.send(await socket.recv())
            except ConnectionClosed:
                pass
            if key is not None:
                end_of(key).set_result(socket.close_code)

    async def main():
        async with serve(answer, host, port, max_size=None):
            await asyncio.Event().wait()

    asyncio.run(main())


def call(origin, only):
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    def tell(what, got):
        print(json.dumps([what, got]), flush=True)

    def opened(path, deflate=False):
        return connect(origin.replace("http", "ws") + path, max_size=None, compression="deflate" if deflate else None)

    async def next_of(socket):
        message = await socket.recv()
        data = message.encode() if isinstance(message, str) else message
        return ["text" if isinstance(message, str) else "binary", len(data), hashlib.sha256(data).hexdigest()]

    async def end(socket):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return [socket.close_code, socket.close_reason]

    async def many(socket, count):
        digest = hashlib.sha256()

        async def read():
            for _ in range(count):
                digest.update((await socket.recv()).encode())

        async def write():
            for i in range(count):
                await socket.send("message %d" % i)

        await asyncio.gather(read(), write())
        return [count, digest.hexdigest()]

    async def once(count):
        async with opened("/echo") as socket:
            return await many(socket, count)

    async def main():
        if only == "drain":
            async with opened("/echo") as socket:
                return tell("drain", await end(socket))
        for deflate in (False, True):
            async with opened("/echo", deflate) as socket:
                tell("extensions", len(socket.protocol.extensions) > 0)
                for size in SIZES:
                    for data in ((b"abcdefg" * (size // 7 + 1))[:size], "\u00b5" * (size // 2)):
                        await socket.send(data)
                        tell("%d deflate %s" % (size, str(deflate).lower()), await next_of(socket))
                await socket.send(["one ", "", "two"])
                message = await next_of(socket)
                await (await socket.ping(b"between"))
                tell("fragments deflate %s" % str(deflate).lower(), [message, "between"])
                await socket.close()
                tell("closed", socket.close_code)
        tell("many messages", await once(MESSAGES))
        async with opened("/pieces") as socket:
            await socket.send((b"pieces" * 50_000)[:300_000])
            tell("pieces", await next_of(socket))
        async with opened("/ping") as socket:
            tell("ping", await next_of(socket))
        for code in CODES:
            async with opened("/close?code=%d" % code) as socket:
                tell("closed with %d" % code, await end(socket))
            key = str(uuid.uuid4())
            async with opened("/echo?id=" + key) as socket:
                await socket.close(1000 if code == 1001 else code)
            async with opened("/ended?id=" + key) as socket:
                tell("closes with %d" % code, await next_of(socket))
        async with opened("/cut") as socket:
            tell("cut", (await end(socket))[0])
        tell("many at once", await asyncio.gather(*(once(100) for _ in range(AT_ONCE))))

    asyncio.run(main())
