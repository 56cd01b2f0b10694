import asyncio

from loadtests.simulated import SimulatedLoop


def test_sleepers_wake_in_order_and_nobody_waits():
    loop = SimulatedLoop()
    woken = []

    async def sleeper(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, loop.time()))

    async def all_of_them():
        await asyncio.gather(sleeper(7200), sleeper(1), sleeper(86_400), sleeper(0))

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(all_of_them())

    assert [seconds for seconds, _ in woken] == [0, 1, 7200, 86_400]
    assert all(abs(at - seconds) < 0.01 for seconds, at in woken)
