import pytest

from mmstreet.files.parallel import map_chunks


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(map_chunks(sum, range(20), workers=workers, chunk_size=3)) == [3, 12, 21, 30, 39, 48, 37]
    assert list(map_chunks(sum, [], workers=workers)) == []


def test_work_under_way_does_not_grow_with_the_number_of_items():
    taken, done = [], 0
    for number in map_chunks(len, (taken.append(i) or i for i in range(400)), workers=2, chunk_size=4):
        done += number
        assert len(taken) - done <= 5 * 4
    assert done == 400


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_comes_through(workers):
    with pytest.raises(TypeError, match="unsupported operand"):
        list(map_chunks(sum, ["a"] * 100, workers=workers))


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="workers must be 1 or more, got 0"):
        list(map_chunks(sum, [1], workers=0))
