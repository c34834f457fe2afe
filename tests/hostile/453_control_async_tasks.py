# id: 453
# name: control_async_tasks
# kind: benign-control
# threat: tasks, timeouts and a thread under asyncio
# expect: ok
# invariants: out=[0, 1, 4] late 42
# wall_s: 2
import asyncio


async def square(number):
    await asyncio.sleep(0.001)
    return number * number


async def main():
    squares = await asyncio.gather(*(square(number) for number in range(3)))
    try:
        await asyncio.wait_for(asyncio.sleep(30), 0.01)
    except TimeoutError:
        said = "late"
    return squares, said, await asyncio.to_thread(lambda: 42)


print(*asyncio.run(main()))
