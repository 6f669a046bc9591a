"""A run that was stopped and resumed has the bits of one that was never interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import onefold as of
from onefold.optim import ReduceOnPlateau

SCRIPT = """
import sys
import numpy as np, onefold as of
rng = np.random.default_rng(0)
X = rng.normal(size=(4000, 30)).astype(np.float32)
y = rng.integers(0, 5, 4000)
net = of.Network([of.Dense(400, "relu"), of.Dropout(0.2), of.Dense(400, "relu"), of.Dense(5)], inputs=30)
print("start", flush=True)
history = net.fit(X, y, loss="cross_entropy", optimizer=of.Adam(1e-3, clip_global_norm=1.0),
                  epochs=int(sys.argv[2]), batch_size=64, validation=(X[:100], y[:100]), patience=50,
                  checkpoint=sys.argv[1], checkpoint_every=float(sys.argv[3]), resume=True, verbose=0)
print(net.fingerprint(), history.epochs, repr(history.logs["loss"][-1]), history.updates)
"""


def stop_after(updates):
    class Stop(of.Callback):
        seen = 0

        def on_batch_end(self, update, logs):
            self.seen += 1
            self.stop = self.seen >= updates

    return Stop()


def fit(net, data, tmp_path, **options):
    X, y, w = data
    options = {"optimizer": of.Adam(0.01, weight_decay=0.1), **options}
    return net.fit(
        X, y, loss="cross_entropy", sample_weight=w, epochs=4, batch_size=50, verbose=0,
        validation=(X[:40], y[:40]), patience=2,
        checkpoint=tmp_path / "run.checkpoint", checkpoint_every=0, resume=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resume_at_any_update(small, make_net, tmp_path, dtype):
    (tmp_path / "whole").mkdir()
    net = make_net(dtype)
    history = fit(net, small, tmp_path / "whole")
    for updates in (1, 4, 5, 6, 10, 13):
        folder = tmp_path / str(updates)
        folder.mkdir()
        fit(make_net(dtype), small, folder, callbacks=[stop_after(updates)])
        fit(make_net(dtype), small, folder, callbacks=[stop_after(2)])
        resumed = make_net(dtype)
        again = fit(resumed, small, folder, threads=2, micro_batch=7)
        assert resumed.fingerprint() == net.fingerprint()
        assert again.logs == history.logs
        assert (again.stopped, again.updates, again.best_epoch) == (
            history.stopped,
            history.updates,
            history.best_epoch,
        )


def test_resume_of_a_schedule_that_listens(small, make_net, tmp_path):
    def optimizer():
        return of.SGD(ReduceOnPlateau(0.5, factor=0.5, patience=0, threshold=0.1), momentum=0.9)

    (tmp_path / "whole").mkdir()
    net = make_net()
    fit(net, small, tmp_path / "whole", optimizer=optimizer())
    fit(make_net(), small, tmp_path, optimizer=optimizer(), callbacks=[stop_after(12)])
    resumed = make_net()
    fit(resumed, small, tmp_path, optimizer=optimizer())
    assert resumed.fingerprint() == net.fingerprint()


def test_resume_of_a_finished_run_changes_nothing(small, make_net, tmp_path):
    net, again = make_net(), make_net()
    first = fit(net, small, tmp_path)
    second = fit(again, small, tmp_path)
    assert again.fingerprint() == net.fingerprint()
    assert second.updates == first.updates


def test_a_checkpoint_of_another_training_is_refused(small, make_net, tmp_path):
    fit(make_net(), small, tmp_path)
    with pytest.raises(of.ModelFileError, match="belongs to another training: optimizer was"):
        fit(make_net(), small, tmp_path, optimizer=of.Adam(0.02))
    with pytest.raises(of.ModelFileError, match="belongs to another training: network"):
        fit(make_net(seed=9), small, tmp_path)


def test_two_fits_do_not_repeat_their_randomness(small, make_net):
    X, y, _ = small
    net = make_net()
    optimizer = of.SGD(0.0)
    for expected in (1, 2):
        net.fit(
            X, y, loss="cross_entropy", optimizer=optimizer, epochs=1, batch_size=211, verbose=0
        )
        assert net.updates == expected
    losses = [net.loss_and_gradient(X, y, loss="cross_entropy")[0]]
    net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=1, batch_size=211, verbose=0)
    losses.append(net.loss_and_gradient(X, y, loss="cross_entropy")[0])
    assert losses[0] != losses[1]  # other dropout masks on the same weights


def start(tmp_path, epochs, every):
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        str(tmp_path / "run.checkpoint"),
        str(epochs),
        str(every),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.splitlines()[-1]


def test_after_ctrl_c_and_after_kill(tmp_path):
    for name in ("whole", "interrupted", "killed"):
        (tmp_path / name).mkdir()
    whole = finish(start(tmp_path / "whole", 30, 30))

    process = start(tmp_path / "interrupted", 30, 30)
    assert process.stdout.readline() == "start\n"
    time.sleep(0.25)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert (tmp_path / "interrupted" / "run.checkpoint").exists()
    assert finish(start(tmp_path / "interrupted", 30, 30)) == whole

    process = start(tmp_path / "killed", 30, 0)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "run.checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    assert finish(start(tmp_path / "killed", 30, 0)) == whole


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_children_train_too(small, make_net):
    X, y, _ = small
    options = {"loss": "cross_entropy", "epochs": 2, "batch_size": 200, "threads": 4, "verbose": 0}
    net = make_net()
    net.fit(X, y, **options)  # the parent's threads are running
    whole = net.fingerprint()
    child = os.fork()
    if child == 0:
        other = make_net()
        other.fit(X, y, **options)
        os._exit(0 if other.fingerprint() == whole else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_memory_mapped_table_is_the_table_in_memory(small, make_net, tmp_path):
    X, y, _ = small
    np.save(tmp_path / "x.npy", X)
    nets = [make_net(), make_net()]
    for net, inputs in zip(nets, (X, np.load(tmp_path / "x.npy", mmap_mode="r")), strict=True):
        net.fit(inputs, y, loss="cross_entropy", epochs=2, verbose=0)
    assert nets[0].fingerprint() == nets[1].fingerprint()
