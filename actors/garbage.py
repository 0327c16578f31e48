"""Less of Python's garbage collection: it walks all that is in flight, again and again, and finds nothing."""

import gc

# New objects, beyond those that went, before the youngest are looked through, and how often that is done before older
# ones are: rows are made and let go of by the ten thousand, and make no cycles; an error's traceback now and then does.
YOUNGEST, MIDDLE, OLDEST = 50_000, 20, 50


def collect_rarely() -> None:
    """Leave out what was imported, for ever, and look through the rest more rarely: a sixth of a catch-up's CPU.

    To be called once everything is imported.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST, MIDDLE, OLDEST)
