"""How much a worker holds on to, in objects: what grows without bound in a long outage is found by counting them."""

import gc
import types
from collections.abc import Iterable

# Shared by the whole program, and not a worker's to hold.
_PROGRAM = (type, types.ModuleType, types.BuiltinFunctionType, types.CodeType, types.FrameType)


def objects_held(by: Iterable[object], apart_from: Iterable[object]) -> int:
    """How many objects can be reached, those that can be reached only through `apart_from` not counted."""
    seen = {id(other) for other in apart_from}
    waiting = [one for one in by if id(one) not in seen]
    count = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _PROGRAM):
            continue
        seen.add(id(one))
        count += 1
        if isinstance(one, types.FunctionType):
            waiting.extend(one.__closure__ or ())  # and not its globals, which are the program's
        else:
            waiting.extend(gc.get_referents(one))
    return count
