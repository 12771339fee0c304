"""The bounded memory of the task models."""

from budgetmem.scheduling.recent import Recent


async def resolve(recent, *texts):
    """What the memory returned, and what it had to compute."""
    asked = []

    async def upper(missing):
        asked.extend(missing)
        return [text.upper() for text in missing]

    return await recent.resolve("ana", texts, upper), asked


async def test_results_follow_the_texts_and_each_is_computed_once():
    recent = Recent(10)
    assert await resolve(recent, "a", "b", "a") == (["A", "B", "A"], ["a", "b"])
    assert recent.count("ana", ["b", "c", "b"]) == 2
    assert await resolve(recent, "b", "c") == (["B", "C"], ["c"])


async def test_the_text_longest_unused_goes_first():
    recent = Recent(2)
    await resolve(recent, "a", "b")
    await resolve(recent, "a")
    await resolve(recent, "c")
    assert (await resolve(recent, "a", "c"))[1] == []
    assert (await resolve(recent, "b"))[1] == ["b"]


async def test_more_texts_than_it_holds_still_resolve():
    assert (await resolve(Recent(1), "a", "b", "c"))[0] == ["A", "B", "C"]


async def test_forgetting_empties_it():
    recent = Recent(2)
    await resolve(recent, "a")
    recent.forget("ben")
    assert (await resolve(recent, "a"))[1] == []
    recent.forget("ana")
    assert (await resolve(recent, "a"))[1] == ["a"]
    assert recent.count("ben", ["a"]) == 0


async def test_everybodys_may_be_forgotten_at_once():
    recent = Recent(2)
    await resolve(recent, "a")
    recent.forget_all()
    assert (await resolve(recent, "a"))[1] == ["a"]
