"""The table of ``python -m benchmarks``."""

import sys
import types

import pytest

from benchmarks import __main__ as table


@pytest.fixture
def call(monkeypatch):
    """Run the command with one benchmark, 'losses', that measures another value each time."""
    values = iter([3.0, 1.0, 7.0])

    def run(quick):
        return [dict(name="a / b", value=next(values), unit="x", target="<= 4", before=9.5), dict(name="c", value=2.0, unit="ms", note="n")]

    monkeypatch.setitem(sys.modules, "benchmarks.bench_losses", types.SimpleNamespace(run=run))

    def call(*words):
        monkeypatch.setattr("sys.argv", ["benchmarks", *words])
        table.main()

    return call


def test_repeats_give_median_lowest_and_highest(call, tmp_path, capsys):
    call("losses", "--repeat", "3", "--out", str(tmp_path / "table.md"))
    first, second = (line.split() for line in capsys.readouterr().out.splitlines()[1:])
    assert first == ["losses", "a", "/", "b", "3", "1–7", "x", "<=", "4", "9.5"]
    assert second == ["losses", "c", "2", "2–2", "ms", "n"]
    written = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert [cell.strip() for cell in written.splitlines()[2].split("|")[1:-1]] == ["losses", "a / b", "3", "1–7", "x", "<= 4", "9.5", ""]
    assert "`python -m benchmarks losses --repeat 3 --out" in written
    assert "processor " in written


def test_one_run_has_no_spread(call, capsys):
    call("losses")
    assert capsys.readouterr().out.splitlines()[1].split() == ["losses", "a", "/", "b", "3", "x", "<=", "4", "9.5"]


@pytest.mark.parametrize(("words", "said"), [(["lossses"], "unknown benchmark 'lossses'"), (["losses", "--repeat", "0"], "from 1, got 0")])
def test_a_mistake_is_said_in_one_sentence(call, words, said, capsys):
    with pytest.raises(SystemExit):
        call(*words)
    assert said in capsys.readouterr().err
