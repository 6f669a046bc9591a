"""Products take the relu that follows them, where nobody else reads what is between."""

from __future__ import annotations

import pytest

import onefold as of
from onefold.nn import losses
from onefold.program import fused


def kernels(*layers, loss="squared_error"):
    """Names of a training program's row kernels, as planned."""
    net = of.Network([*layers, of.Dense(1)], inputs=3)
    plan = losses.get(loss).plan(1, False, net._architecture.final_activation)
    program = net._architecture.training(plan, weighted=False)
    return [operation.kernel for operation in fused(program).stages[0].operations]


def test_relu_is_a_part_of_the_product_before_it():
    found = kernels(of.Dense(5, "relu"), of.Dense(4, "relu"))
    assert found.count("linear_forward_relu") == 2
    assert found.count("linear_backward_relu") == 2
    assert not {"relu_forward", "relu_backward"} & set(found)


@pytest.mark.parametrize("activation", ["tanh", "leaky_relu", "relu6"])
def test_other_activations_are_kernels_of_their_own(activation):
    found = kernels(of.Dense(5, activation))
    assert f"{activation}_forward" in found
    assert f"{activation}_backward" in found
    assert not any(name.endswith("_relu") and "linear" in name for name in found)


def test_what_stands_between_keeps_them_apart():
    found = kernels(of.Dense(5, "relu"), of.Dropout(0.5))
    assert "linear_forward_relu" in found  # the mask comes after relu
    assert "relu_backward" in found  # and in between on the way back
    assert "linear_backward" in found
