"""The receipts of one question, side by side."""

from dataclasses import replace

from budgetmem.tiers import Tier
from budgetmem.types import Choice, Fallback, Receipt, Step, Usage
from tests.training.reporting.toy_figures import toy_figures
from training.reporting import receipts
from training.reporting.compared import compared
from training.reporting.figures import Figures
from training.reporting.page import section
from training.reporting.results import receipt_of

RULES = Step("filter", Choice(Tier.LOW, (0.75, 0.25, 0.0)), "apply rules", Usage())
MODEL = Step(
    "summary",
    Choice(Tier.HIGH, (0.0, 0.4, 0.6)),
    "apply specialist",
    Usage(input_tokens=100, output_tokens=20, cost_usd=3e-6, calls=2, failed_calls=1),
    fallbacks=(Fallback("ask direct @ high", "is away"),),
)
RECEIPT = Receipt(
    strategy="capacity",
    router="capacity-1",
    steps=(RULES, MODEL),
    retrieval=Usage(input_tokens=14, cost_usd=1e-7, calls=1),
    answer=Usage(input_tokens=50, output_tokens=5, cost_usd=2e-6, calls=1),
    total=Usage(input_tokens=164, output_tokens=25, cost_usd=5.1e-6, calls=4),
    retrieved_chunk_ids=("a",),
    kept_chunk_ids=("a",),
)


def figures(receipt):
    whole = toy_figures(arms=("LLLLL", "router@0.5"))
    first, *others = whole.found["router@0.5"]
    routed = [replace(first, receipt=receipt), *others]
    return Figures(whole.head, {**whole.found, "router@0.5": routed})


def test_a_row_has_tiers_probabilities_tokens_and_prices():
    table = receipts.side_by_side(receipts.told(figures(receipt_of(RECEIPT))))
    assert table.rows == [
        [
            "router@0.5",
            "Low 75%",
            "",
            "",
            "",
            "High 60%; 120 tokens, 3.0; apply specialist",
            "14 tokens, 0.1",
            "55 tokens, 2.0",
            "5.1",
        ]
    ]
    assert len(table.columns) == 9


def test_one_is_told_whole():
    told = receipts.whole(receipts.told(figures(receipt_of(RECEIPT))))
    assert "The whole receipt of router@0.5" in told
    assert '"router": "capacity-1"' in told


def test_without_receipts_a_page_has_no_heading_for_them():
    def page(receipt):
        return section(compared(figures(receipt), None, "toy, test"), {})

    assert "### Receipts" in page(receipt_of(RECEIPT))
    assert "### Receipts" not in page({})
