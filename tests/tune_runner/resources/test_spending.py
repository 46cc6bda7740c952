"""What a study spends: node-seconds, money and energy, by closed forms; prices as users write them.

`resources.power` has the assumed watts: a busy core 10, an idle one 3, a GPU 280 and 50.
"""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.errors import UserError
from tune_runner.resources.allocation import ONE_CPU, TrialResources
from tune_runner.resources.nodes import ClusterNode, node_from_ray
from tune_runner.resources.prices import Prices, check_priced, parse_prices
from tune_runner.resources.spending import Ledger, Spent, spent_from_json
from tune_runner.study.budgets import Budgets

HEAD = ClusterNode("head", ("head",), {})
WORKER = ClusterNode("worker", ("worker",), {"CPU": 2.0})
GPU = ClusterNode("big", ("big", "spot", "GPU", "worker"), {"CPU": 4.0, "GPU": 1.0})


@pytest.mark.parametrize(
    ("text", "prices"),
    [
        ("0.35", (0.35, 0.35, 0.35)),
        ("worker=0.35,gpu=2.1,head=0", (0.0, 0.35, 2.1)),
        ("0.1, spot = 0.5", (0.1, 0.1, 0.5)),
        ("worker=1,BIG=3,0.2", (0.2, 1.0, 3.0)),
        ("worker=1,0", (0.0, 1.0, 1.0)),
    ],
)
def test_a_node_has_the_price_of_its_most_specific_name(text, prices):
    parsed = parse_prices(text)
    assert tuple(parsed.of(node) for node in (HEAD, WORKER, GPU)) == prices


BAD = ["", "x", "worker", "=1", "worker=", "-1", "nan", "inf", "1,2", "a=1,a=2", "1;2", "1e9"]


@pytest.mark.parametrize("text", BAD)
def test_a_price_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="--price must be the price of a node-hour"):
        parse_prices(text)


def test_a_node_without_a_price_is_refused_before_the_study_begins():
    with pytest.raises(UserError, match=r"names none of big, spot, GPU, worker.* add big=PRICE"):
        check_priced(parse_prices("head=1"), [HEAD, GPU])
    check_priced(parse_prices("head=1,worker=2"), [HEAD, WORKER, GPU])


def test_the_type_of_a_node_is_its_group_and_else_its_role():
    row = {"Resources": {"CPU": 2.0, "GPU": 1.0, "memory": 1.0, "node:10.0.0.1": 1.0}}
    plain = node_from_ray(row)
    assert (plain.type, plain.names) == ("worker", ("GPU", "worker"))
    labels = {"ray.io/node-group": "trials", "ray.io/node-id": "ffff", "zone": "a"}
    grouped = node_from_ray(row | {"Labels": labels}, leaves=True)
    assert (grouped.type, grouped.leaves) == ("trials", True)
    assert grouped.names == ("trials", "a", "GPU", "worker")
    head = node_from_ray({"Resources": {"node:__internal_head__": 1.0}, "Labels": None})
    assert head.type == "head"


def test_node_seconds_cost_and_use_follow_the_nodes_that_join_and_leave():
    ledger = Ledger(parse_prices("worker=3.6,head=0.36,big=7.2"), Spent())
    one = [([0], ONE_CPU)]
    ledger.add(10.0, [HEAD], [], ONE_CPU)  # no worker yet
    ledger.add(20.0, [HEAD, WORKER], one, ONE_CPU)  # one of two slots
    ledger.add(30.0, [HEAD, WORKER, WORKER], [([n], ONE_CPU) for n in range(4)], ONE_CPU)
    ledger.add(40.0, [HEAD], [], ONE_CPU)
    spent = ledger.spent
    assert spent.node_seconds == {"head": 100.0, "worker": 80.0}
    assert spent.total_seconds == 180.0
    assert (spent.room_seconds, spent.used_seconds) == (80.0, 20 * 0.5 + 30 * 2)
    assert spent.cost == pytest.approx(100 * 1e-4 + 80 * 1e-3)
    busy, idle = 20 * 1 + 30 * 4, 20 * 1
    assert spent.kwh == pytest.approx((busy * 10 + idle * 3) / 3.6e6)
    assert spent.measured_kwh == 0.0


def test_a_node_that_joins_without_a_price_is_charged_at_the_dearest():
    ledger = Ledger(parse_prices("worker=1,head=2"), Spent())
    ledger.add(3600.0, [GPU, ClusterNode("odd", ("odd",))], [], ONE_CPU)
    assert ledger.spent.cost == pytest.approx(1.0 + 2.0)


def test_a_node_that_is_drained_is_paid_for_and_has_no_room():
    ledger = Ledger(None, Spent())
    leaving = ClusterNode("worker", ("worker",), {"CPU": 2.0}, leaves=True)
    ledger.add(5.0, [leaving], [], ONE_CPU)
    assert (ledger.spent.total_seconds, ledger.spent.room_seconds) == (5.0, 0.0)


def test_what_a_trial_measured_replaces_what_was_assumed_since_its_last_report():
    ledger = Ledger(None, Spent())
    run = [([7], TrialResources(2.0))]
    ledger.add(100.0, [WORKER], run, TrialResources(2.0))
    assert ledger.spent.kwh == pytest.approx(100 * 20 / 3.6e6)
    ledger.report(7, 500.0, known=False)
    assert ledger.spent.kwh == ledger.spent.measured_kwh == pytest.approx(500 / 3.6e6)
    ledger.add(10.0, [WORKER], run, TrialResources(2.0))
    ledger.report(7, 300.0, known=False)  # its worker was lost: it continues from a checkpoint
    ledger.report(7, 450.0, known=False)
    assert ledger.spent.measured_kwh == pytest.approx((500 + 150) / 3.6e6)
    assert ledger.spent.kwh == pytest.approx((500 + 150 + 200) / 3.6e6)
    ledger.end(7)
    assert ledger.spent.kwh == pytest.approx(850 / 3.6e6)


def test_what_an_earlier_run_of_the_command_measured_is_not_counted_again():
    ledger = Ledger(None, Spent(kwh=1.0, measured_kwh=1.0, sessions=1))
    ledger.report(0, 3.6e6, known=True)  # repeated from the checkpoint
    ledger.report(0, 3.6e6 * 1.5, known=False)
    assert ledger.spent.kwh == pytest.approx(1.5)
    assert ledger.spent.sessions == 2


def test_without_a_meter_the_assumption_stands():
    ledger = Ledger(None, Spent())
    ledger.add(100.0, [GPU], [([0, 1], TrialResources(4.0, 1.0))], TrialResources(4.0, 1.0))
    ledger.report(0, math.nan, known=False)
    ledger.report(1, math.nan, known=False)
    assert ledger.spent.kwh == pytest.approx(100 * (40 + 280) / 3.6e6)


def test_node_seconds_of_runs_without_a_price_are_charged_at_the_present_one():
    before = Spent({"head": 3600.0, "worker": 7200.0}, sessions=1)
    assert Ledger(parse_prices("head=1,2"), before).spent.cost == pytest.approx(1 + 2 * 2)
    assert Ledger(None, before).spent.cost is None


AMOUNTS = st.floats(0, 1e9)


@given(
    st.builds(
        Spent,
        st.dictionaries(st.text(max_size=9), AMOUNTS, max_size=3),
        AMOUNTS,
        AMOUNTS,
        AMOUNTS,
        AMOUNTS,
        st.none() | AMOUNTS,
        st.integers(0, 100),
    )
)
def test_the_amounts_come_back_from_study_json(spent):
    assert spent_from_json(json.loads(json.dumps(spent.to_json()))) == spent


@pytest.mark.parametrize(
    "damaged", [3, [], "x", {}, {"node_seconds": 3}, Spent().to_json() | {"kwh": "1"}]
)
def test_damaged_amounts_are_refused(damaged):
    with pytest.raises(UserError, match=r"study\.json must be what a study wrote"):
        spent_from_json(damaged)


@given(AMOUNTS, AMOUNTS)
def test_a_budget_ends_the_study_exactly_when_it_is_spent(budget, used):
    if budget > 0:
        budgets = Budgets("1", budget, None)
        spent = Spent({"head": 3600.0}, cost=used)
        assert (budgets.overspent(spent) is None) == (used < budget)
        assert (Budgets(None, None, budget).overspent(Spent(kwh=used)) is None) == (used < budget)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 5.0, None), "needs --price"),
        (("0", 5.0, None), "would never be reached"),
        (("1", 0.0, None), "--max-cost must be a number above 0"),
        (("1", math.nan, None), "--max-cost must be a number above 0"),
        ((None, None, -1.0), "--max-kwh must be a number above 0"),
    ],
)
def test_a_budget_that_no_study_can_have_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        Budgets(*arguments)


def test_a_new_budget_must_be_more_than_what_is_spent():
    budgets = Budgets("1", 5.0, 2.0)
    budgets.check_left(Spent(cost=4.9, kwh=1.9))
    with pytest.raises(UserError, match=r"--max-cost must be more than the 5.1"):
        budgets.check_left(Spent(cost=5.1))
    with pytest.raises(UserError, match=r"--max-kwh must be more than the 2 "):
        budgets.check_left(Spent(kwh=2.0))


def test_prices_and_budgets_are_said_in_words():
    text = Budgets("0.1,gpu=2", 5.0, 3.0).describe()
    assert text.startswith("at most 5 at 0.1, 2 of gpu per node-hour; at most 3 kWh")
    assert Budgets().describe() == ""
    assert Prices((), 0.5).describe() == "0.5 per node-hour"
