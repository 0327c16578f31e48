"""How hypothesis runs here: without a deadline, since a busy machine isn't a fault of the code."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
