"""What a page of waiting rows and items becomes."""

import pytest

from delivery.finding import ONE_BY_ONE, Page, find_items, find_rows
from delivery.ledger import ItemStatus, Lookups
from delivery.rows import Key
from delivery.settle import Outcome, RowRef
from delivery.source import SourceError
from tests.fakes.database import MemoryDatabase
from tests.fakes.mapping import payload
from tests.fakes.source import MemorySource


class InFlight:
    def __init__(self, *keys: Key, items: tuple[int, ...] = ()) -> None:
        self.keys = keys
        self.items = items

    def has_key(self, key: Key) -> bool:
        return key in self.keys

    def has_item(self, item: int) -> bool:
        return item in self.items


@pytest.fixture
def db() -> MemoryDatabase:
    return MemoryDatabase()


def rows(
    db: MemoryDatabase, after: Key | None = None, limit: int = 100, in_flight: InFlight | None = None, **lookups: object
) -> Page:
    return find_rows(MemorySource(db), after, limit, in_flight or InFlight(), Lookups(**lookups))  # type: ignore[arg-type]  # fields of Lookups


def items(
    db: MemoryDatabase, after: int = 0, limit: int = 100, in_flight: InFlight | None = None, **lookups: object
) -> Page:
    found = Lookups(**lookups)  # type: ignore[arg-type]  # fields of Lookups
    return find_items(MemorySource(db), after, limit, in_flight or InFlight(), found, has_flag=db.has_flag)


def keys(page: Page) -> list[Key]:
    return [found.key for found in page.found]


def test_waiting_rows_are_found_with_their_values(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3)
    db.flags = {2}
    page = rows(db)
    assert [(found.key, found.item, found.values) for found in page.found] == [
        (1, None, (1, "some")),
        (3, None, (3, "some")),
    ]


def by_columns(db: MemoryDatabase, limit: int, in_flight: InFlight | None = None, **lookups: object) -> Page:
    """With a source that reads 3 rows and more by columns."""
    source = MemorySource(db, by_columns_from=3)
    return find_rows(source, None, limit, in_flight or InFlight(), Lookups(**lookups))  # type: ignore[arg-type]  # fields of Lookups


def keys_by_columns(page: Page) -> list[Key]:
    return [] if page.by_columns is None else list(page.by_columns.keys)


def test_many_rows_are_read_by_columns(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3, 4)
    page = by_columns(db, 3)
    assert (page.found, keys_by_columns(page), page.last) == ((), [1, 2, 3], 3)


def test_fewer_are_read_one_by_one_and_so_are_those_that_have_to_be_looked_up(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3)
    assert keys(by_columns(db, 2)) == [1, 2]
    page = by_columns(db, 3, first=True)
    assert (keys(page), page.by_columns) == ([1, 2, 3], None)
    assert all(found.suspect for found in page.found)


def test_rows_that_are_not_to_be_sent_are_left_out_of_the_columns(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3, 4, 5)
    db.add_item(2, status=ItemStatus.FAILED)
    page = by_columns(db, 5, InFlight(4))
    assert keys_by_columns(page) == [1, 3, 5]


def test_where_most_rows_are_not_to_be_sent_the_others_are_read_one_by_one(db: MemoryDatabase) -> None:
    db.add_rows(*range(10))
    page = by_columns(db, 10, InFlight(*range(6)))
    assert (keys(page), page.by_columns) == ([6, 7, 8, 9], None)


def test_pages_that_are_read_one_by_one_are_smaller(db: MemoryDatabase) -> None:
    db.add_rows(*range(ONE_BY_ONE + 10))
    page = rows(db, limit=ONE_BY_ONE + 10)
    assert (len(page.found), page.last) == (ONE_BY_ONE, ONE_BY_ONE - 1)
    cut = find_rows(MemorySource(db, by_columns_from=10**6), None, ONE_BY_ONE + 10, InFlight(), Lookups())
    assert (len(cut.found), cut.last) == (ONE_BY_ONE, ONE_BY_ONE - 1)
    assert keys(rows(db, page.last, limit=ONE_BY_ONE)) == list(range(ONE_BY_ONE, ONE_BY_ONE + 10))


def test_history_and_settling_rows_are_left_alone(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3)
    db.history, db.settling = {1}, {2}
    assert keys(rows(db)) == [3]


def test_pages_follow_each_other_and_the_last_says_so(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3)
    first = rows(db, limit=2)
    second = rows(db, after=first.last, limit=2)
    assert (keys(first), first.last) == ([1, 2], 2)
    assert (keys(second), second.last) == ([3], None)


def test_a_page_full_of_rows_in_flight_leads_on(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3)
    page = rows(db, limit=2, in_flight=InFlight(1, 2))
    assert (keys(page), page.last) == ([], 2)


def test_a_row_of_an_item_that_was_sent_only_gets_its_flag(db: MemoryDatabase) -> None:
    db.add_rows(1)
    db.add_item(1, status=ItemStatus.COMPLETED, batch_id=7)
    page = rows(db)
    assert page.found == ()
    assert [(decided.row, decided.outcome) for decided in page.decided] == [(RowRef(1), Outcome.FLAGGED)]


def test_an_item_is_found_with_its_rows_values(db: MemoryDatabase) -> None:
    db.add_rows(5)
    item = db.add_item(5)
    (found,) = items(db).found
    assert (found.key, found.item, found.values, found.payload) == (5, item, (5, "some"), None)


def test_a_payload_is_the_row_as_it_stood_whatever_the_row_says_now(db: MemoryDatabase) -> None:
    db.add_rows(5, label="later")
    db.add_item(5, payload=payload("then"))
    (found,) = items(db).found
    assert (found.values, found.payload) == ((), payload("then"))


def test_of_two_items_of_one_key_one_is_sent_and_one_waits(db: MemoryDatabase) -> None:
    db.add_rows(5)
    first, _ = db.add_item(5), db.add_item(5)
    page = items(db)
    assert [found.item for found in page.found] == [first]
    assert page.waits


@pytest.mark.parametrize("spellings", [("007", "7"), ("7", "007"), ("007", "+7")])
def test_two_spellings_of_a_key_are_one_row(db: MemoryDatabase, spellings: tuple[str, str]) -> None:
    db.add_rows(7)
    first, _ = (db.add_item(spelling) for spelling in spellings)
    page = items(db)
    assert [(found.key, found.item) for found in page.found] == [(7, first)]


def test_a_key_that_waits_in_another_spelling_keeps_its_turn(db: MemoryDatabase) -> None:
    first, _ = db.add_item("007"), db.add_item("7", payload=payload("later"))
    page = items(db)
    assert page.found == ()  # the first waits for its row, and the second for the first
    db.add_rows(7)
    assert [found.item for found in items(db).found] == [first]


def test_an_item_in_another_spelling_of_a_sent_key_isnt_sent(db: MemoryDatabase) -> None:
    db.add_item("7", status=ItemStatus.COMPLETED, batch_id=1)
    item = db.add_item("007", payload=payload("again"))
    page = items(db)
    assert [(decided.row, decided.outcome) for decided in page.decided] == [(RowRef(7, item), Outcome.COMPLETED)]


def test_an_item_committed_before_its_row_waits_for_it(db: MemoryDatabase) -> None:
    item = db.add_item(5)
    assert items(db).waits
    db.add_rows(5)
    assert [found.item for found in items(db).found] == [item]


def test_a_late_commit_of_a_low_id_is_found_by_the_next_pass(db: MemoryDatabase) -> None:
    db.add_rows(2, 11, 12)
    db.add_item(11, id=11)
    assert keys(items(db)) == [11]
    db.add_item(2, id=2)
    assert keys(items(db, in_flight=InFlight(11, items=(11,)))) == [2]


def test_an_item_in_flight_isnt_decided_again(db: MemoryDatabase) -> None:
    db.add_rows(5)
    item = db.add_item(5)
    page = items(db, in_flight=InFlight(items=(item,)))
    assert (page.found, page.decided) == ((), ())


def test_a_record_id_that_is_no_key_fails(db: MemoryDatabase) -> None:
    item = db.add_item("seven")
    (decided,) = items(db).decided
    assert (decided.row, decided.outcome) == (RowRef(None, item), Outcome.FAILED)
    assert decided.reason is not None
    assert "record id" in decided.reason


def test_an_item_whose_row_stays_away_is_gone_or_failed(db: MemoryDatabase) -> None:
    db.add_item(5, age_seconds=601)
    assert [decided.outcome for decided in items(db).decided] == [Outcome.COMPLETED]
    db.has_flag = False
    (decided,) = items(db).decided
    assert decided.outcome is Outcome.FAILED
    assert decided.reason is not None
    assert "row not found" in decided.reason


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
def test_other_operations_are_abandoned_with_a_reason(db: MemoryDatabase, operation: str) -> None:
    db.add_rows(5)
    db.add_item(5, operation=operation)
    (decided,) = items(db).decided
    assert decided.outcome is Outcome.ABANDONED
    assert decided.reason


def test_an_item_of_a_settling_row_waits_unless_it_has_a_payload(db: MemoryDatabase) -> None:
    db.add_rows(5, 6)
    db.settling = {5, 6}
    db.add_item(5)
    db.add_item(6, payload=payload("as it stood"))
    page = items(db)
    assert keys(page) == [6]
    assert page.waits


def test_everything_is_suspect_after_the_database_went_back(db: MemoryDatabase) -> None:
    db.add_rows(1, 2)
    db.add_item(2)
    assert all(found.suspect for found in (*rows(db, first=True).found, *items(db, first=True).found))


def test_items_of_the_lost_time_stay_suspect(db: MemoryDatabase) -> None:
    db.add_rows(1, 2)
    db.add_item(1, id=10)
    db.add_item(2, id=11)
    assert [found.suspect for found in items(db, items_to=10).found] == [True, False]


def test_a_read_that_fails_decides_nothing(db: MemoryDatabase) -> None:
    db.add_rows(1)
    source = MemorySource(db)
    source.failures.extend([False, False, True])
    with pytest.raises(SourceError):
        find_rows(source, None, 100, InFlight(), Lookups())
