"""What rows hold of turns and units."""

from datetime import datetime

from budgetmem.chunking import Line, Unit
from budgetmem.store.rows import indexed_words


class Foreign(datetime):
    """A time where the locale is German."""

    def strftime(self, form):
        return super().strftime(form).replace("May", "Mai")


def test_what_is_indexed_does_not_follow_the_locale():
    line = Line("t1", "Ana: hello", 2, Foreign(2023, 5, 8, 13, 56))
    unit = Unit("u1", "s1", 0, 0, (line,), 2)
    assert f"{unit.time:%B}" == "Mai"
    assert indexed_words(unit) == "8 May 2023\nAna: hello"
