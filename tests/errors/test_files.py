"""Model files: what comes back, and what happens to damaged, hostile and unwritable ones."""

from __future__ import annotations

import errno
import json
import struct

import numpy as np
import pytest

import onefold as of
from onefold import _files, model_file


@pytest.fixture
def model(tmp_path):
    net = of.Network(
        [of.Dense(9, of.Activation("leaky_relu", negative_slope=0.2)), of.Dropout(0.1),
         of.Dense(4, "prelu", use_bias=False, weight_initializer="orthogonal"), of.Activation("tanh"),
         of.Dense(2)],
        inputs=5, seed=2**63, dtype="float64",
    )  # fmt: skip
    X = np.random.default_rng(0).normal(size=(30, 5))
    net.fit(X, X[:, :2] > 0, loss="binary_cross_entropy", epochs=2, verbose=0)
    path = tmp_path / "m.onefold"
    net.save(path, {"note": [1, "ü"]})
    return net, path, X


def test_round_trip(model):
    net, path, X = model
    again = of.load(path)
    assert again.fingerprint() == net.fingerprint()
    assert repr(again) == repr(net)
    assert again.extra == {"note": [1, "ü"]}
    assert again.updates == net.updates
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    header = model_file.read_header(path)
    assert header["fingerprint"] == net.fingerprint()
    assert sorted(p.name for p in path.parent.iterdir()) == ["m.onefold"], (
        "no temporary file is left"
    )


def test_every_truncation_is_refused(model):
    _, path, _ = model
    content = path.read_bytes()
    for size in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(of.ModelFileError):
            of.load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(of.ModelFileError):
        of.load(path)


def test_every_flipped_byte_is_refused_or_harmless(model):
    net, path, _ = model
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 0x21
        path.write_bytes(bytes(changed))
        try:
            loaded = of.load(path)
        except of.ModelFileError:
            continue
        assert loaded.fingerprint() == net.fingerprint()


def rewrite(path, change):
    """Change the header of a model file; `change` may give the text that replaces it."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    outer = json.loads(content[8 : 8 + length])
    inner = json.loads(outer["__metadata__"]["onefold"])
    text = change(inner)
    outer["__metadata__"]["onefold"] = text if isinstance(text, str) else json.dumps(inner)
    head = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + content[8 + length :])


def network(inner):
    return inner["header"]["network"]


HOSTILE = {
    "huge layer": lambda h: network(h)["layers"][0].update(units=10**12),
    "huge input": lambda h: network(h).update(inputs=2**62),
    "unknown layer": lambda h: network(h)["layers"][0].update(kind="__import__"),
    "unknown activation": lambda h: network(h)["layers"][0]["activation"].update(name="os.system"),
    "text for a number": lambda h: network(h).update(inputs="5; import os"),
    "no layers": lambda h: network(h).update(layers=[]),
    "layers of nothing": lambda h: network(h).update(layers=[None]),
    "a list for the network": lambda h: h["header"].update(network=[1]),
    "no fingerprint": lambda h: h["header"].pop("fingerprint") and None,
    "another version": lambda h: h.update(arithmetic=999),
    "another kind": lambda h: h.update(format="pickle"),
    "a list for the header": lambda h: h.update(header=[1]),
    "deep nesting": lambda h: "[" * 100000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(model, name):
    _, path, _ = model
    rewrite(path, HOSTILE[name])
    with pytest.raises(of.ModelFileError):
        of.load(path)


def test_other_files_are_refused(tmp_path):
    for content in (b"", b"\x80\x04\x95pickle", b"\xff" * 100, b"{}", struct.pack("<Q", 2) + b"{}"):
        path = tmp_path / "other"
        path.write_bytes(content)
        with pytest.raises(of.ModelFileError, match="other"):
            of.load(path)
    with pytest.raises(of.ModelFileError, match=r"could not read .*nowhere"):
        of.load(tmp_path / "nowhere")
    with pytest.raises(of.ModelFileError, match="could not read"):
        of.load(tmp_path)


def test_a_full_disk_leaves_the_old_file(model, monkeypatch):
    net, path, _ = model
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files.os, "fsync", full)
    with pytest.raises(
        of.ModelFileError, match="No space left on device; nothing was changed there"
    ):
        net.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["m.onefold"]


def test_a_folder_that_is_not_there(model, tmp_path):
    net, _, _ = model
    with pytest.raises(of.ModelFileError, match="could not write"):
        net.save(tmp_path / "no" / "m.onefold")
