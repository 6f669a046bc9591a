"""Prediction of one row and of 200,000: onefold against ONNX Runtime, PyTorch, JAX and scikit-learn.

The network is 20-64-64-2 with the same weights everywhere; every side's outputs must agree first.

    python benchmarks/prediction.py [--quick] [--threads 2]
"""

from __future__ import annotations

from common import machine, parse_arguments, summary, table, take_turns, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np
from peers import Onefold, initial_weights, make_data

WIDTHS = (20, 64, 64, 2)
MANY = 200_000


def onefold_side(weights, threads):
    net = Onefold(WIDTHS, 32, weights, threads).net
    return lambda x: net.predict(x, threads=threads)


def onnx_side(weights, threads):
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, arrays, last = [], [], "x"
    for i, (weight, bias) in enumerate(weights):
        arrays += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"z{i}"]))
        last = f"z{i}"
        if i < len(weights) - 1:
            nodes.append(helper.make_node("Relu", [last], [f"a{i}"]))
            last = f"a{i}"
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, w])
        for n, w in (("x", 20), (last, 2))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda x: session.run(None, {"x": x})[0]


def torch_side(weights, threads):
    import torch

    torch.set_num_threads(threads)
    pairs = [(torch.tensor(w.T.copy()), torch.tensor(b)) for w, b in weights]

    @torch.inference_mode()
    def predict(x):
        x = torch.from_numpy(x)
        for i, (weight, bias) in enumerate(pairs):
            x = torch.nn.functional.linear(x, weight, bias)
            x = torch.relu(x) if i < len(pairs) - 1 else x
        return x.numpy()

    return predict


def jax_side(weights, threads):
    import jax

    @jax.jit
    def forward(weights, x):
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ weights[-1][0] + weights[-1][1]

    held = [(jax.numpy.array(w), jax.numpy.array(b)) for w, b in weights]
    return lambda x: np.asarray(forward(held, x))


def scikit_side(weights, threads):
    from sklearn.neural_network import MLPRegressor

    net = MLPRegressor(hidden_layer_sizes=WIDTHS[1:-1])
    x, _ = make_data(WIDTHS, 200)
    net.partial_fit(x, np.zeros((200, 2), np.float32))
    for place, (weight, bias) in enumerate(weights):
        net.coefs_[place], net.intercepts_[place] = weight, bias
    return net.predict


SIDES = {
    "onefold": onefold_side,
    "ONNX Runtime": onnx_side,
    "JAX": jax_side,
    "PyTorch": torch_side,
    "scikit-learn": scikit_side,
}


def main(given):
    rounds = 7 if given.quick else 21
    weights = initial_weights(WIDTHS)
    sides = {name: make(weights, given.threads) for name, make in SIDES.items()}
    many, _ = make_data(WIDTHS, MANY)
    one = many[:1].copy()
    expected = sides["onefold"](many[:1000])
    for name, predict in sides.items():
        np.testing.assert_allclose(
            predict(many[:1000]), expected, rtol=1e-3, atol=1e-4, err_msg=name
        )
        predict(one), predict(many)

    def repeated(predict):
        return lambda: [predict(one) for _ in range(200)]

    single = take_turns({name: repeated(predict) for name, predict in sides.items()}, rounds, 0.05)
    single = {name: [t / 200 * 1e6 for t in times] for name, times in single.items()}
    bulk = take_turns(
        {name: lambda p=predict: p(many) for name, predict in sides.items()}, rounds, 0.1
    )
    bulk = {name: [t * 1e3 for t in times] for name, times in bulk.items()}
    about = machine(given.threads, ["onnxruntime", "jax", "torch", "scikit-learn"])
    rows = [
        [name, *(f"{s['median']:.3g} ({s['low']:.3g}–{s['high']:.3g})" for s in (summary(single[name]), summary(bulk[name])))]
        for name in sides
    ]  # fmt: skip
    lines = [
        f"# Prediction with {'-'.join(map(str, WIDTHS))}, median of {rounds} (low–high)",
        "",
        where(about),
        "",
        *table(["", "one row, µs", f"{MANY:,} rows, ms"], rows),
    ]
    results = {"machine": about, "one_row_us": single, "many_rows_ms": bulk, "rows": MANY}
    write("prediction-quick" if given.quick else "prediction", results, lines)


if __name__ == "__main__":
    main(given)
