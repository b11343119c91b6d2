"""A sample of every kind of hostile input ends as it should; ``make hostile`` tries them all."""

import pytest

from tests.hostile.kinds import KINDS, Kind, count, find_kinds

find_kinds()


@pytest.mark.hostile
@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_input_ends_in_a_result_or_in_one_sentence(name, tmp_path):
    found = count(KINDS[name], tmp_path, seed=0, limit=12)
    assert found.tried
    assert found.failures == []


def test_a_traceback_two_lines_and_an_unsound_result_are_counted_as_failures(tmp_path):
    def cases(folder, rng):
        yield "sentence", lambda: int("x")
        yield "result", lambda: None
        yield "traceback", lambda: {}["key"]
        yield "two lines", lambda: (_ for _ in ()).throw(ValueError("a\nb"))
        yield "command", lambda: exit("a sentence")

    found = count(Kind("self", cases, (ValueError,), refused=False), tmp_path, seed=0)
    assert (found.tried, found.results, found.sentences) == (5, 1, 2)
    assert [failure.partition(":")[0] for failure in found.failures] == ["traceback", "two lines"]
    refused = count(Kind("self", cases, (ValueError,), refused=True), tmp_path, seed=0)
    assert [failure.partition(":")[0] for failure in refused.failures] == ["result", "traceback", "two lines"]
