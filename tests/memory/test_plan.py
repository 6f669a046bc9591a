"""The plan is the memory: exact in bytes inside, and seen from outside the process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import onefold as of
from onefold.train.budget import format_size, parse_size
from onefold.train.session import Session

CASES = [
    {"dtype": "float32", "optimizer": "adam", "weighted": False},
    {"dtype": "float64", "optimizer": "sgd", "weighted": True, "clipped": 1.0},
    {"dtype": "float32", "optimizer": "rmsprop", "weighted": True},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["optimizer"])
@pytest.mark.parametrize("micro_batch", [1, 50, 300])
@pytest.mark.parametrize("embedded", [False, True])
def test_the_plan_counts_what_is_allocated(make_net, case, micro_batch, embedded):
    net = make_net(case["dtype"])
    if embedded:
        layers = [of.Embedding({3: 900, 0: 40}, {3: 5, 0: 40}), *net.layers]
        net = of.Network(layers, inputs=13, dtype=case["dtype"])
    optimizer = of.optim.get(case["optimizer"], clip_global_norm=case.get("clipped"))
    plan = net.plan(
        batch_size=300, micro_batch=micro_batch, loss="cross_entropy", optimizer=optimizer,
        labels=True, weighted=case["weighted"], threads=3,
    )  # fmt: skip
    state = net._optimizer_state(optimizer)
    session = Session(
        net._architecture, net._state, of.losses.get("cross_entropy"), labels=True,
        weighted=case["weighted"], batch_size=300, micro_batch=micro_batch, threads=3,
        optimizer=optimizer, optimizer_state=state, copies=1,
    )  # fmt: skip
    assert session.plan == plan
    assert session.executor.nbytes == plan.values + plan.tiles + plan.transposed + plan.norm
    assert plan.kept == plan.parameters
    assert (plan.norm > 0) == ("clipped" in case)
    twice = net.plan(batch_size=300, optimizer=optimizer, patience=3)
    assert twice.kept == 2 * plan.parameters
    assert net._state.parameters.store.nbytes == plan.parameters
    assert session.gradient.store.nbytes == plan.gradient
    assert sum(store.nbytes for store in state.stores) == plan.optimizer
    assert sum(plan.parts.values()) == plan.total


def test_the_values_grow_with_the_micro_batch_alone(make_net):
    net = make_net()
    small, large = (net.plan(batch_size=n, micro_batch=64) for n in (64, 10**6))
    assert small.total == large.total
    assert (
        net.plan(batch_size=64, micro_batch=64).values
        > net.plan(batch_size=64, micro_batch=32).values
    )


def test_a_budget_is_kept_and_used(make_net):
    net = make_net()
    for budget in (70_000, 100_000, 500_000):
        plan = net.plan(batch_size=10**6, memory=budget, threads=1)
        assert plan.total <= budget
        assert (
            net.plan(batch_size=10**6, micro_batch=plan.micro_batch + 1, threads=1).total > budget
        )
    with pytest.raises(of.BudgetError, match=r"give at least ([0-9,]+) bytes") as caught:
        net.plan(batch_size=1000, memory="1kB")
    least = int(str(caught.value).split("at least ")[1].split()[0].replace(",", ""))
    assert net.plan(batch_size=1000, memory=least).micro_batch == 1
    with pytest.raises(of.BudgetError):
        net.plan(batch_size=1000, memory=least - 1)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200MB", 2 * 10**8),
        ("1.5 GiB", 3 << 29),
        (4096, 4096),
        ("7", 7),
        ("1k", 1024),
        ("3mib", 3 << 20),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


def test_sizes_as_people_read_them():
    assert [format_size(n) for n in (0, 999, 1000, 2_500_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 MB",
    ]


MEASURE = """
import sys
import numpy as np, onefold as of


def peak():  # not getrusage: its maximum counts the parent's pages too
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


X = np.ones((400_000, 40), np.float32)
y = np.zeros(400_000, np.int32)
net = of.Network([of.Dense(256, "relu"), of.Dense(256, "relu"), of.Dense(5)], inputs=40)
optimizer = of.Adam()
options = {"loss": "cross_entropy", "optimizer": optimizer, "batch_size": 400_000, "verbose": 0, "epochs": 1}
net.fit(X[:64], y[:64], **{**options, "batch_size": 32})  # everything that is loaded once
before = peak()
net.fit(X, y, micro_batch=int(sys.argv[1]), **options)
grown = peak() - before
plan = net.plan(batch_size=400_000, micro_batch=int(sys.argv[1]), loss="cross_entropy", labels=True)
print(grown, plan.total)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("micro_batch", [256, 20_000])
def test_resident_memory_from_outside(micro_batch):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(micro_batch)],
        capture_output=True,
        text=True,
        check=True,
    )
    grown, planned = map(int, done.stdout.split())
    # Pages of a fresh process come in twos of megabytes: that much may stand above the plan.
    assert grown <= planned * 1.05 + (2 << 20)
    if micro_batch == 20_000:
        assert grown >= 0.5 * planned


def test_prediction_of_many_rows_allocates_little():
    net = of.Network([of.Dense(64, "relu"), of.Dense(2)], inputs=20)
    net.predict(np.zeros((16, 20), np.float32))
    (predictor,) = net._prediction.executors.values()
    assert predictor.nbytes < 16_384 * 4 * 64
