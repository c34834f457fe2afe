# id: 376
# name: connects_async
# kind: hostile
# threat: a connection by asyncio, and a datagram
# expect: denied|error
# invariants: no_connect
# wall_s: 2
import asyncio


async def send():
    _, writer = await asyncio.open_connection("127.0.0.1", int("@PORT@"))
    writer.write(b"exfil")
    await writer.drain()


asyncio.run(send())
print("sent")
