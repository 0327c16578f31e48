"""One look for all who ask within a second."""

import asyncio
import threading

import pytest

from api.fresh import Fresh


class Reading:
    """Counts how often it is read; may be told to fail, and to wait."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.released = threading.Event()
        self.released.set()
        self.threads: set[int] = set()

    def read(self) -> int:
        self.count += 1
        self.threads.add(threading.get_ident())
        assert self.released.wait(10)
        if self.error is not None:
            raise self.error
        return self.count


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reading() -> Reading:
    return Reading()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fresh(reading: Reading, clock: Clock) -> Fresh[int]:
    return Fresh(reading.read, 1.0, clock)


def test_an_answer_is_good_for_a_second(fresh: Fresh[int], clock: Clock) -> None:
    async def ask() -> list[int]:
        answers = [await fresh.get()]
        clock.now += 0.9
        answers.append(await fresh.get())
        clock.now += 1.1
        answers.append(await fresh.get())
        return answers

    assert asyncio.run(ask()) == [1, 1, 2]


def test_while_many_ask_nobody_waits_for_the_next_answer(fresh: Fresh[int], reading: Reading, clock: Clock) -> None:
    async def ask() -> list[int]:
        answers = [await fresh.get()]
        reading.released.clear()
        clock.now += 1.1
        answers += [await fresh.get() for _ in range(3)]
        while reading.count < 2:
            await asyncio.sleep(0)
        reading.released.set()
        while (answer := await fresh.get()) == 1:
            await asyncio.sleep(0)
        return [*answers, answer]

    assert asyncio.run(ask()) == [1, 1, 1, 1, 2]


def test_however_many_ask_and_however_slow_it_is_one_thread_reads_once(fresh: Fresh[int], reading: Reading) -> None:
    reading.released.clear()

    async def ask() -> list[int]:
        asking = [asyncio.create_task(fresh.get()) for _ in range(200)]
        while not reading.count:
            await asyncio.sleep(0)
        reading.released.set()
        return await asyncio.gather(*asking)

    assert asyncio.run(ask()) == [1] * 200
    assert len(reading.threads) == 1


def test_an_error_is_told_to_all_and_kept_no_longer(fresh: Fresh[int], reading: Reading, clock: Clock) -> None:
    reading.error = ValueError("away")

    async def ask() -> int:
        for _ in range(3):
            with pytest.raises(ValueError, match="away"):
                await fresh.get()
        reading.error = None
        clock.now += 2
        return await fresh.get()

    assert asyncio.run(ask()) == 2


def test_whoever_gives_up_takes_nothing_from_the_others(fresh: Fresh[int], reading: Reading) -> None:
    reading.released.clear()

    async def ask() -> int:
        first, second = asyncio.create_task(fresh.get()), asyncio.create_task(fresh.get())
        while not reading.count:
            await asyncio.sleep(0)
        first.cancel()
        reading.released.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(ask()) == 1
