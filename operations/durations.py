"""Lengths of time as people read them, the same wherever we say one."""


def in_words(seconds: float) -> str:
    """A length of time in its largest unit: "119 s", "2 min", "3 days"; "-5 min" for one in the future."""
    for name, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"
