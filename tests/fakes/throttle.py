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
