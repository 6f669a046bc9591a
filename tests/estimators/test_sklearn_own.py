"""scikit-learn's own tests of its multi-layer perceptron, with onefold's classes in place of its own.

The tests are those of the installed scikit-learn; nothing of them is here. A child process puts the
classes in, since the tests take them from `sklearn.neural_network` when they are imported.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn

pytest.importorskip("sklearn.neural_network.tests.test_mlp")

#: Why a test cannot pass, in the words of docs/mlp.md.
EXPLAINED = {
    "test_gradient": "calls the private method `_loss_grad_lbfgs`",
}
DOCUMENT = Path(__file__).parents[2] / "docs" / "mlp.md"
RUN = """
import sys, pytest, sklearn.neural_network, onefold
sklearn.neural_network.MLPClassifier = onefold.MLPClassifier
sklearn.neural_network.MLPRegressor = onefold.MLPRegressor
options = ["-q", "-rf", "-o", "addopts=", "-p", "no:cacheprovider", "--tb=no", "-W", "ignore"]
sys.exit(pytest.main([*options, "--rootdir", sys.argv[1], "--pyargs", "sklearn.neural_network.tests.test_mlp"]))
"""


def test_scikit_learns_own_tests(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    failed = {
        re.split(r"::|\[| ", line)[-1] for line in re.findall(r"^FAILED (\S+)", run.stdout, re.M)
    }
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed, run.stdout + run.stderr
    assert failed <= set(EXPLAINED), run.stdout
    text = DOCUMENT.read_text()
    for name in failed:
        assert name in text
        assert EXPLAINED[name] in text
    counted = re.search(r"scikit-learn (\S+): (\d+) of (\d+) tests", text)
    assert counted
    if counted[1] == sklearn.__version__:
        assert (int(counted[2]), int(counted[3])) == (int(passed[1]), int(passed[1]) + len(failed))
