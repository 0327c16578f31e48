"""What a history ends with that mustn't be."""


class Violation(AssertionError):
    """The message says in words what must never be."""
