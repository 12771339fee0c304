"""A process that is killed in the middle of its writes loses nothing that it acknowledged."""

from benchmarks.chaos import store_kills
from benchmarks.chaos.store_kills import DROPPED, EMPTIED, Ledger, Verdict, run
from budgetmem.history import Histories
from budgetmem.store.base import DeletionProof

KILLS = 25


def test_nothing_acknowledged_is_lost_nothing_erased_comes_back(tmp_path):
    verdict = run(tmp_path, KILLS, seed=7)
    assert verdict == Verdict(KILLS, verdict.acknowledged, 0, 0, 0, 0, 0)
    assert verdict.kept
    assert verdict.acknowledged > 0


def test_a_store_that_loses_turns_is_found_out(tmp_path, monkeypatch):
    real = store_kills._read

    def forgetful(root):
        found = real(root)
        return {history: set(sorted(turns or set())[1:]) for history, turns in found.items()}

    monkeypatch.setattr(store_kills, "_read", forgetful)
    assert run(tmp_path, KILLS, seed=7).lost > 0


def test_a_history_that_is_deleted_bit_by_bit_is_found_out(tmp_path, monkeypatch):
    async def delete(histories, tenant, history, on_deleted=None):
        async for turn in histories.export(tenant, history):
            await histories.delete_turns(tenant, history, [turn.id])
        return DeletionProof(0, 0, 0, 0)

    monkeypatch.setattr(Histories, "delete", delete)
    monkeypatch.setitem(store_kills.SHARES, DROPPED, 80)
    verdict = run(tmp_path, KILLS, seed=7)
    assert verdict.torn > 0
    assert not verdict.kept


def test_a_deletion_of_the_tenant_that_leaves_turns_is_found_out(tmp_path, monkeypatch):
    async def delete_tenant(histories, tenant):
        return None

    monkeypatch.setattr(Histories, "delete_tenant", delete_tenant)
    monkeypatch.setitem(store_kills.SHARES, EMPTIED, 80)
    verdict = run(tmp_path, KILLS, seed=7)
    assert verdict.resurrected > 0
    assert verdict.left > 0
    assert not verdict.kept


def test_only_the_last_call_of_a_killed_process_is_in_doubt():
    ledger = Ledger()
    lines = ["begin + h0 a b\n", "done + h0 a b\n", "begin - h0 a\n", "done - h0 a\n"]
    assert store_kills._book(ledger, [*lines, "begin + h0 c d\n", "done + h0"]) == 2
    assert ledger.kept["h0"] == {"b"}
    assert ledger.after["h0"] == {"b", "c", "d"}
