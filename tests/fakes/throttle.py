"""Others who work on the database, for whom a Throttle makes room."""

import itertools

from delivery.throttle import Throttle

WORK_SECONDS = 0.01  # that each piece of our own work takes, by a clock that nothing else moves


class Others:
    """`throttle` leaves them four fifths of the time while they are there."""

    def __init__(self, *, are_there: bool = True) -> None:
        self.are_there = are_there
        looks = itertools.count()
        self.throttle = Throttle(0.2, lambda: self.are_there, lambda: WORK_SECONDS * next(looks))


class EveryOther(Throttle):
    """Lets every other piece of work wait, by a clock that may stand still while others look at theirs."""

    def __init__(self) -> None:
        super().__init__(0.5, lambda: True, lambda: 0.0)
        self._asked = itertools.count()

    def rest(self) -> float:
        return 0.0 if next(self._asked) % 2 else WORK_SECONDS
