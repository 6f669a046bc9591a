"""What bad input gets: a message that names the thing, what was expected, what came, a way out."""

from __future__ import annotations

import numpy as np
import pytest

import onefold as of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 7)).astype(np.float32)
Y = RNG.integers(0, 3, 20)


def net(outputs=3, **options):
    return of.Network([of.Dense(5, "relu"), of.Dense(outputs)], inputs=7, **options)


def fit(X=X, y=Y, loss="cross_entropy", outputs=3, **options):
    return net(outputs).fit(X, y, loss=loss, epochs=1, verbose=0, **options)


def with_value(value, row=3, column=2):
    bad = X.copy()
    bad[row, column] = value
    return bad


CASES = {
    "too many columns": (
        lambda: fit(np.zeros((32, 8))),
        of.ShapeError, ValueError,
        r"Dense 'dense_0' expects 7 inputs, X has 8 columns \(shape \(32, 8\)\); pass X of shape \(rows, 7\)",
    ),
    "one dimension": (lambda: fit(X[0]), of.ShapeError, ValueError, r"X has 1 dimensions \(shape \(7,\)\)"),
    "no rows": (lambda: fit(X[:0], Y[:0]), of.ShapeError, ValueError, "X has no rows"),
    "text": (lambda: fit(np.full((20, 7), "a")), of.DtypeError, TypeError, "X has dtype <U1; pass numbers"),
    "objects": (lambda: fit(np.full((20, 7), None)), of.DtypeError, TypeError, "X has dtype object"),
    "complex": (lambda: fit(X * 1j), of.DtypeError, TypeError, "complex"),
    "NaN": (lambda: fit(with_value(np.nan)), of.DataError, ValueError, "X holds nan in row 3, column 2"),
    "infinity": (lambda: fit(with_value(-np.inf)), of.DataError, ValueError, "X holds -inf in row 3, column 2"),
    "too large for float32": (
        lambda: fit(with_value(0).astype(float) * 0 + 1e300), of.DataError, ValueError, r"1e\+300 in row 0",
    ),
    "prediction": (
        lambda: net().predict(X[:, :3]), of.ShapeError, ValueError, "expects 7 inputs, X has 3 columns",
    ),
    "fewer targets": (lambda: fit(y=Y[:5]), of.ShapeError, ValueError, "y has 5 rows, X has 20"),
    "label above": (
        lambda: fit(y=Y + 5), of.DataError, ValueError,
        r"labels must be 0..2 for 3 outputs, found \d in row 0",
    ),
    "label below": (lambda: fit(y=Y - 1), of.DataError, ValueError, "labels must be 0..2 for 3 outputs, found -1"),
    "float labels": (
        lambda: fit(y=Y + 0.5), of.DtypeError, TypeError, "class labels are integers, y has dtype float64",
    ),
    "text labels": (lambda: fit(y=np.full(20, "a")), of.DtypeError, TypeError, "dtype <U1"),
    "targets' shape": (
        lambda: fit(y=np.zeros((20, 2)), loss="squared_error"), of.ShapeError, ValueError,
        r"y has shape \(20, 2\), the network has 3 outputs; pass y of shape \(rows, 3\)",
    ),
    "NaN target": (
        lambda: fit(y=np.full(20, np.nan), loss="mse", outputs=1), of.DataError, ValueError,
        "y holds nan in row 0",
    ),
    "binary target": (
        lambda: fit(y=np.full(20, 2.0), outputs=1), of.DataError, ValueError,
        "binary targets are from 0 to 1, found 2.0 in row 0",
    ),
    "count below zero": (
        lambda: fit(y=np.full(20, -1.0), loss="poisson", outputs=1), of.DataError, ValueError,
        "counts are zero or more",
    ),
    "gamma target of zero": (
        lambda: fit(y=np.zeros(20), loss="gamma", outputs=1), of.DataError, ValueError,
        "gamma targets are above zero",
    ),
    "hinge target": (
        lambda: fit(y=np.full(20, 3.0), loss="hinge", outputs=1), of.DataError, ValueError,
        "hinge targets are -1 and 1, or 0 and 1; found 3.0",
    ),
    "one output for classes": (
        lambda: fit(outputs=1, loss="sparse_categorical_cross_entropy"), of.OptionError, ValueError,
        "needs an output for each class",
    ),
    "ending that does not fit": (
        lambda: of.Network([of.Dense(3, "relu")], inputs=7).fit(X, Y, loss="cross_entropy", verbose=0),
        of.OptionError, ValueError, "takes a linear output layer",
    ),
    "negative weight": (
        lambda: fit(sample_weight=np.where(np.arange(20) == 4, -1, 1)), of.DataError, ValueError,
        r"sample_weight is negative \(-1.0\) in row 4",
    ),
    "zero weights": (
        lambda: fit(sample_weight=np.zeros(20)), of.DataError, ValueError, "sample_weight is zero in every row",
    ),
    "NaN weight": (
        lambda: fit(sample_weight=np.full(20, np.nan)), of.DataError, ValueError, "sample_weight holds nan in row 0",
    ),
    "weights' shape": (
        lambda: fit(sample_weight=np.ones(3)), of.ShapeError, ValueError, r"has shape \(3,\), X has 20 rows",
    ),
    "unknown activation": (
        lambda: of.Dense(3, "rellu"), of.OptionError, ValueError, "unknown activation 'rellu'; did you mean 'relu'",
    ),
    "unknown loss": (
        lambda: fit(loss="crossentropy"), of.OptionError, ValueError,
        "unknown loss 'crossentropy'; did you mean 'cross_entropy'",
    ),
    "unknown optimizer": (
        lambda: fit(optimizer="adaam"), of.OptionError, ValueError, "unknown optimizer 'adaam'; did you mean 'adam'",
    ),
    "unknown initializer": (
        lambda: of.Dense(3, weight_initializer="glorot"), of.OptionError, ValueError,
        "unknown initializer 'glorot'; did you mean 'glorot",
    ),
    "unknown parameter": (
        lambda: net().parameters.__setitem__("dense_0.wieght", X), of.OptionError, ValueError,
        "unknown parameter 'dense_0.wieght'; did you mean 'dense_0.weight'",
    ),
    "unknown dtype": (lambda: net(dtype="float16"), of.OptionError, ValueError, "'float32' or 'float64', not 'float16'"),
    "activation option": (
        lambda: of.Activation("elu", alfa=2), of.OptionError, ValueError, "elu has no option 'alfa'; did you mean 'alpha'",
    ),
    "activation option's range": (
        lambda: of.Activation("elu", alpha=-2), of.OptionError, ValueError, "alpha of elu is positive, not -2",
    ),
    "no layers": (lambda: of.Network([], inputs=3), of.OptionError, ValueError, "at least one Dense layer"),
    "not a layer": (lambda: of.Network(["relu"], inputs=3), of.OptionError, ValueError, "not 'relu'"),
    "units": (lambda: of.Dense(0), of.OptionError, ValueError, "units from 1 up, not 0"),
    "inputs": (lambda: of.Network([of.Dense(1)], inputs=0), of.OptionError, ValueError, "from 1 up, not 0"),
    "seed": (lambda: net(seed=-1), of.OptionError, ValueError, "seed is an integer from 0"),
    "rate": (lambda: of.Dropout(1.0), of.OptionError, ValueError, "rate from 0 up to, not including, 1, not 1.0"),
    "epochs": (lambda: net().fit(X, Y, loss="cross_entropy", epochs=0), of.OptionError, ValueError, "epochs"),
    "batch size": (lambda: fit(batch_size=0), of.OptionError, ValueError, "batch_size is a number from 1 up, not 0"),
    "micro-batch": (lambda: fit(micro_batch=0), of.OptionError, ValueError, "micro_batch is 'auto' or a number"),
    "threads": (lambda: fit(threads=0), of.OptionError, ValueError, "threads is a number from 1 to"),
    "memory": (lambda: fit(memory="lots"), of.OptionError, ValueError, "memory is a size such as '200MB'"),
    "callback": (lambda: fit(callbacks=[print]), of.OptionError, ValueError, "a callback is an onefold.Callback"),
    "validation": (lambda: fit(validation=X), of.OptionError, ValueError, r"validation is \(X, y\)"),
    "validation's columns": (
        lambda: fit(validation=(X[:, :2], Y)), of.ShapeError, ValueError, "validation X has 2 columns",
    ),
    "resume without a file": (lambda: fit(resume=True), of.OptionError, ValueError, "resume needs checkpoint=PATH"),
    "parameter's shape": (
        lambda: net().parameters.__setitem__("dense_0.bias", np.zeros(3)), of.ShapeError, ValueError,
        r"dense_0.bias has shape \(5,\), not \(3,\)",
    ),
    "parameter's values": (
        lambda: net().parameters.__setitem__("dense_0.bias", np.full(5, np.nan)), of.DataError, ValueError,
        "would hold NaN or infinity",
    ),
    "custom loss's shape": (
        lambda: fit(y=Y * 1.0, outputs=1, loss=lambda y, z, w: (z.sum(), z)), of.ShapeError, ValueError,
        r"returned losses of shape \(\), not",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda name: name.replace(" ", "-"))
def test_bad_input(case):
    call, kind, builtin, message = CASES[case]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert isinstance(caught.value, of.OnefoldError)
    assert isinstance(caught.value, builtin)


def test_one_row_one_class_and_a_constant_column_train():
    one = net()
    one.fit(X[:1], Y[:1], loss="cross_entropy", epochs=3, verbose=0)
    assert np.isfinite(one.predict(X)).all()
    same = net()
    constant = X.copy()
    constant[:, 2] = 5
    same.fit(constant, np.zeros(20, int), loss="cross_entropy", epochs=400, verbose=0)
    assert same.evaluate(constant, np.zeros(20, int), loss="cross_entropy") < 0.1


def test_a_budget_too_small_says_the_least_that_would_do():
    with pytest.raises(of.BudgetError, match=r"give at least [\d,]+ bytes") as caught:
        fit(memory="1kB", threads=1)
    least = int(str(caught.value).split("at least ")[1].split(" ")[0].replace(",", ""))
    fit(memory=least, threads=1)
    with pytest.raises(of.BudgetError):
        fit(memory=least - 1, threads=1)
    with pytest.raises(
        of.BudgetError, match=r"micro-batches of 20 rows take.*at 'auto' or"
    ) as caught:
        fit(memory=least, micro_batch=20, threads=1)
    fit(memory=caught.value.least, micro_batch=20, threads=1)
    assert f"at least {caught.value.least:,} bytes" in str(caught.value)
    with pytest.raises(of.BudgetError, match="; give at least"):
        fit(memory=least - 1, micro_batch=20, threads=1)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_divergence_keeps_the_last_good_state(clip):
    rng = np.random.default_rng(0)
    big = rng.normal(size=(64, 7)) * 1e3
    model = net(1)
    optimizer = of.SGD(1e30, clip_global_norm=None if clip is None else 1e30)
    with pytest.raises(
        of.DivergedError, match=r"at update \d+ of epoch \d+; the parameters are"
    ) as caught:
        model.fit(
            big, big[:, 0], loss="mse", optimizer=optimizer, epochs=50, batch_size=16, verbose=0
        )
    assert isinstance(caught.value, ArithmeticError)
    assert all(np.isfinite(model.parameters[name]).all() for name in model.parameters)


def test_an_accumulation_that_diverges_makes_no_update():
    model = net(1)
    before = model.fingerprint()
    with (
        pytest.raises(of.DivergedError, match="no update was made"),
        model.accumulate(loss="poisson", optimizer="sgd") as step,
    ):
        step.add(X * 1e30, np.ones(20))
    assert model.fingerprint() == before


def test_pieces_must_fit_each_other():
    model = net()
    with pytest.raises(of.OptionError, match="inside the block"):
        model.accumulate(loss="cross_entropy").add(X, Y)
    with (
        pytest.raises(of.DataError, match="weights or none"),
        model.accumulate(loss="cross_entropy") as step,
    ):
        step.add(X, Y)
        step.add(X, Y, np.ones(20))
    with (
        pytest.raises(of.DataError, match="no piece was added"),
        model.accumulate(loss="cross_entropy"),
    ):
        pass


def test_an_exception_in_a_callback_or_loss_comes_out():
    class Broken(of.Callback):
        def on_epoch_end(self, epoch, logs):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fit(callbacks=[Broken()])

    def loss(y, z, w):
        raise RuntimeError("also mine")

    with pytest.raises(RuntimeError, match="also mine"):
        fit(y=Y * 1.0, loss=loss, outputs=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_float64_network_refuses_what_is_not_finite_in_float32(value):
    double = net(dtype="float64")
    with pytest.raises(of.DataError, match=f"X holds {value} in row 3, column 2"):
        double.fit(with_value(value), Y, loss="cross_entropy", verbose=0)
    with pytest.raises(of.DataError, match=f"X holds {value} in row 3, column 2"):
        double.predict(with_value(value))
