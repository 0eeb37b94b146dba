"""What a file of weights must be, and what is refused, by its path."""

import json
import math
import struct

import pytest

from tests.core.networks import DOMAINS, floats, make_header, make_tensors, make_weights
from tierway_core import Classifier, Weights, WeightsError
from tierway_core.signals import COUNTERS
from tierway_core.weights import MOST, TENSORS, Tensor, dump


def refused(content: bytes) -> tuple[str, str]:
    with pytest.raises(WeightsError) as caught:
        Weights.parse(content)
    return caught.value.path, caught.value.message


def sound() -> bytes:
    return dump(make_header(), make_tensors())


def with_header(change) -> bytes:
    """A sound file whose header `change` has changed."""
    content = sound()
    (length,) = struct.unpack_from("<I", content, 8)
    header = json.loads(content[12 : 12 + length])
    change(header)
    encoded = json.dumps(header).encode()
    return content[:8] + struct.pack("<I", len(encoded)) + encoded + content[12 + length :]


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "some.weights"
    path.write_bytes(sound())
    weights = Weights.load(path)
    assert (weights.domains, weights.data, weights.tier_lambda) == (DOMAINS, ("nothing",), 0.5)
    assert (weights.columns, weights.inputs, weights.outputs) == (4, 12 + len(COUNTERS), 11 + len(DOMAINS))
    assert dict(weights.tensors) == make_tensors()
    assert weights.header["note"] == "random"


def test_the_identity_is_that_of_the_bytes():
    one, same, other = make_weights(1), make_weights(1), make_weights(2)
    assert one.identity == same.identity != other.identity
    assert len(one.identity) == 16
    assert int(one.identity, 16) >= 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not start with TIERWAY1"),
        (b"TIERWAY1", "does not start with"),
        (b"GGUF" * 9, "does not start with"),
        (b"TIERWAY1\xff\xff\xff\xff{}", "ends within its header"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(content, message):
    path, why = refused(content)
    assert path == ""
    assert message in why


@pytest.mark.parametrize("lost", [1, 100, 200_000])
def test_a_file_that_was_cut_is_refused(lost):
    path, why = refused(sound()[:-lost])
    assert path.startswith("tensors.")
    assert "ends within" in why


def test_bytes_behind_the_end_are_refused():
    assert "1 bytes follow" in refused(sound() + b"\0")[1]


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("format", 2, "format"),
        ("counters", ["words"], "counters"),
        ("counters", None, "counters"),
        ("domains", [], "domains"),
        ("domains", ["one", "one", "two"], "domains"),
        ("domains", ["one", "two"], "tensors.skip.shape"),
        ("theta_bands", [1, 2, 3, 4], "theta_bands"),
        ("theta_bands", [1, 2, 3, 4, "5"], "theta_bands"),
        ("tier_lambda", -1, "tier_lambda"),
        ("tier_lambda", True, "tier_lambda"),
        ("data", "mmlu", "data"),
        ("tensors", {}, "tensors"),
        ("tensors", [1], "tensors[0]"),
    ],
)
def test_a_header_that_is_not_sound_is_refused_by_its_path(key, value, path):
    assert refused(with_header(lambda header: header.update({key: value})))[0] == path


@pytest.mark.parametrize("key", ["domains", "tier_lambda", "tensors"])
def test_a_header_without_a_key_is_refused(key):
    assert refused(with_header(lambda header: header.pop(key))) == (key, "is missing")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": "unknown"}, "tensors[0].name"),
        ({"name": "mean"}, "tensors.mean.dtype"),
        ({"dtype": "f8"}, "tensors.table.dtype"),
        ({"shape": [65536, -4]}, "tensors.table.shape"),
        ({"shape": [65536, True]}, "tensors.table.shape"),
        ({"shape": 4}, "tensors.table.shape"),
        ({"shape": [65536]}, "tensors.table"),
        ({"more": 1}, "tensors[0]"),
    ],
)
def test_an_entry_of_the_directory_that_is_not_sound_is_refused_by_its_path(change, path):
    at = refused(with_header(lambda header: header["tensors"][0].update(change)))[0]
    assert at == path or (path == "tensors.table" and at == "")


@pytest.mark.parametrize("name", TENSORS)
def test_every_tensor_is_needed_once(name):
    tensors = make_tensors()
    del tensors[name]
    with pytest.raises(WeightsError) as caught:
        dump(make_header(), tensors)
    assert (caught.value.path, caught.value.message) == (f"tensors.{name}", "is missing")


@pytest.mark.parametrize("name", [name for name, (dtype, _) in TENSORS.items() if dtype == "f4"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_must_be_finite(name, number):
    tensor = make_tensors()[name]
    spoilt = floats(*[number] * math.prod(tensor.shape), shape=tensor.shape)
    with pytest.raises(WeightsError) as caught:
        dump(make_header(), make_tensors(**{name: spoilt}))
    assert caught.value.path == f"tensors.{name}"


def test_a_deviation_must_be_above_zero():
    with pytest.raises(WeightsError) as caught:
        dump(make_header(), make_tensors(deviation=floats(*[0.0] * len(COUNTERS))))
    assert caught.value.path == "tensors.deviation"


def test_sizes_must_fit_each_other():
    with pytest.raises(WeightsError) as caught:
        dump(make_header(), make_tensors(b1=floats(1.0, 2.0)))
    assert (caught.value.path, caught.value.message) == ("tensors.b1.shape", "must be [3], not [2]")


def test_weights_that_were_put_together_by_hand_are_checked_as_well():
    weights = make_weights()
    for tensors in ({}, {**weights.tensors, "seen": Tensor(dtype="u1", shape=(1,), data=b"\0")}):
        with pytest.raises(WeightsError):
            Weights(identity="0" * 16, header=weights.header, tensors=tensors)
    with pytest.raises(WeightsError, match="a tensor of 8 bytes has 7"):
        Tensor(dtype="f4", shape=(2,), data=bytes(7))
    with pytest.raises(TypeError, match="weights are needed, not str"):
        Classifier("classifier.weights")


@pytest.mark.parametrize(("size", "letter"), [("columns", "K"), ("hidden", "H")])
def test_more_than_the_stack_holds_is_refused(size, letter):
    with pytest.raises(WeightsError, match=f"at most {MOST[letter]} can be"):
        dump(make_header(), make_tensors(**{size: MOST[letter] + 1}))


def test_nothing_of_weights_can_be_set():
    weights = make_weights()
    with pytest.raises(AttributeError):
        weights.identity = "another"
    with pytest.raises(TypeError):
        weights.tensors["mean"] = weights.tensors["deviation"]


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Weights.load(tmp_path / "none.weights")
