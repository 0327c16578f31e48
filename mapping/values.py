"""What BigQuery's types can hold: each function takes a Python value into a type's range, or says why it doesn't fit.

The limits are those of GoogleSQL's data types:
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types
"""

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation

TYPES = frozenset(
    {"STRING", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "BYTES", "JSON"}
    | {"DATE", "TIME", "DATETIME", "TIMESTAMP"}
)  # those that can be filled; not STRUCT, GEOGRAPHY, RANGE, INTERVAL

_SINGLE = struct.Struct("<f")
_INT64 = range(-(2**63), 2**63)

_NUMERIC_UNIT = Decimal("1e-9")
_BIGNUMERIC_UNIT = Decimal("1e-38")
# A context's precision bounds all digits of the result: 29 + 9, and 38 + 38. BIGNUMERIC itself reaches a little
# further (to 5.7e38), but Arrow's decimal256(76, 38), in which it is sent, doesn't.
_NUMERIC = Context(prec=38, traps=[InvalidOperation, Inexact])
_BIGNUMERIC = Context(prec=76, traps=[InvalidOperation, Inexact])
_NUMERIC_ROUNDED = Context(prec=38, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_BIGNUMERIC_ROUNDED = Context(prec=76, rounding=ROUND_HALF_UP, traps=[InvalidOperation])


class Unfit(ValueError):
    """A value that its BigQuery column can't hold. The text says why, and never shows the value."""


def text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("isn't valid Unicode text (a lone surrogate)") from None
    return value


def text_of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unfit("isn't UTF-8 text") from None


def int64(value: int) -> int:
    if value not in _INT64:
        raise Unfit("out of range for INT64")
    return value


def int64_of_decimal(value: Decimal) -> int:
    # The size first: to_integral_value would write out a number with a huge exponent.
    if not value.is_finite() or value.adjusted() > 19:
        raise Unfit("out of range for INT64")
    if value != value.to_integral_value():
        raise Unfit("isn't a whole number")
    return int64(int(value))


def numeric(value: Decimal) -> Decimal:
    return _exactly(value, _NUMERIC_UNIT, _NUMERIC, "out of range for NUMERIC", "has more than 9 decimals")


def bignumeric(value: Decimal) -> Decimal:
    return _exactly(value, _BIGNUMERIC_UNIT, _BIGNUMERIC, "out of range for BIGNUMERIC", "has more than 38 decimals")


def numeric_of_float(value: float) -> Decimal:
    """Rounded to what NUMERIC holds, as BigQuery's own cast does: a float's last decimals are an artefact anyway."""
    return _exactly(Decimal(repr(value)), _NUMERIC_UNIT, _NUMERIC_ROUNDED, "out of range for NUMERIC", "")


def bignumeric_of_float(value: float) -> Decimal:
    return _exactly(Decimal(repr(value)), _BIGNUMERIC_UNIT, _BIGNUMERIC_ROUNDED, "out of range for BIGNUMERIC", "")


def _exactly(value: Decimal, unit: Decimal, context: Context, too_large: str, too_fine: str) -> Decimal:
    if not value.is_finite():
        raise Unfit(too_large)
    try:
        return value.quantize(unit, context=context)
    except InvalidOperation:
        raise Unfit(too_large) from None
    except Inexact:
        raise Unfit(too_fine) from None


def float64(value: int | float | Decimal) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise Unfit("out of range for FLOAT64") from None
    if isinstance(value, Decimal) and number in (float("inf"), float("-inf")):
        raise Unfit("out of range for FLOAT64")
    return number


def boolean(value: int) -> bool:
    if value not in (0, 1):
        raise Unfit("is neither 0 nor 1")
    return value == 1


def bits(value: bytes) -> int:
    """The number that a BIT column's bytes stand for."""
    return int.from_bytes(value, "big")


def time_of_day(value: object) -> time:
    """A MySQL TIME, which may also be a duration, as a time of day."""
    if type(value) is not timedelta:
        raise Unfit("isn't a valid time")
    if not timedelta() <= value < timedelta(days=1):
        raise Unfit("isn't a time of day: 00:00:00 to 23:59:59.999999")
    return (datetime.min + value).time()


def day(value: object) -> date:
    """A DATE; the driver hands over a zero date, such as 0000-00-00, as text."""
    if type(value) is not date:
        raise Unfit("isn't a valid date")
    return value


def midnight(value: object) -> datetime:
    """The first moment of a DATE, without zone."""
    return datetime.combine(day(value), time())


def wall_clock(value: object) -> datetime:
    """A DATETIME as it stands, without zone; a zero date comes as text here too."""
    if type(value) is not datetime:
        raise Unfit("isn't a valid date and time")
    return value


def to_instant(zone: tzinfo) -> Callable[[object], datetime]:
    """What makes a wall-clock time of the zone an instant in UTC.

    Of a repeated hour it takes the first; a time that was skipped moves forward. That is what fold=0 means (PEP 495).
    """

    def instant(value: object) -> datetime:
        local = wall_clock(value).replace(tzinfo=zone)
        try:
            return local.astimezone(UTC)
        except OverflowError:
            raise Unfit("out of range for TIMESTAMP: years 1 to 9999, in UTC") from None

    def utc_instant(value: object) -> datetime:
        return wall_clock(value).replace(tzinfo=UTC)

    return utc_instant if zone is UTC else instant


def clock_text(value: object) -> str:
    """A MySQL TIME in MySQL's own form, -838:59:59 to 838:59:59, with a fraction where it has one."""
    if type(value) is not timedelta:
        raise Unfit("isn't a valid time")
    seconds, fraction = divmod(abs(value), timedelta(seconds=1))
    sign = "-" if value < timedelta() else ""
    micros = f".{fraction.microseconds:06d}" if fraction else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{micros}"


def instant_text(value: datetime) -> str:
    """An instant in UTC as RFC 3339 with a Z."""
    return value.replace(tzinfo=None).isoformat() + "Z"


def plain_decimal(value: Decimal) -> str:
    """A number without exponent."""
    return format(value, "f")


def single(value: float) -> float:
    """What a FLOAT holds, by the fewest digits that mean it: 0.1 instead of the 0.10000000149011612 that it is."""
    try:
        held = _SINGLE.pack(value)
    except OverflowError:
        return value
    if _SINGLE.unpack(held) != (value,):
        return value  # of a column that has been made a DOUBLE since
    for digits in (6, 7, 8):
        shortened = float(f"{value:.{digits}g}")
        if _SINGLE.pack(shortened) == held:
            return shortened
    return float(f"{value:.9g}")


def plain_float(value: float) -> str:
    """A number without exponent, and without decimals where it has none: the way SQL shows it."""
    return format(Decimal(repr(value)), "f").removesuffix(".0")
