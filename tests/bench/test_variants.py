import pytest
import yaml

from tierway_bench.variants import ENGINE, Variant
from tierway_server.config import load


def test_empty_text_is_the_default():
    assert Variant.parse("") == Variant("default", {})


def test_values_are_typed_as_in_a_configuration():
    variant = Variant.parse("coalesce_window_s=0.01,stream_interval_tokens=4,threads_bind=all,enforce_eager=false")
    assert variant.settings == {
        "coalesce_window_s": 0.01,
        "stream_interval_tokens": 4,
        "threads_bind": "all",
        "enforce_eager": False,
    }


def test_text_without_a_value_is_refused():
    with pytest.raises(ValueError, match="'fast' is not key=value"):
        Variant.parse("coalesce_window_s=0,fast")


def test_tierway_accepts_what_a_variant_writes(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(Variant.parse("max_num_batched_tokens=256,threads_bind=all").tierway_config("/models/tiny"))
    engine = load(path, environ={}).engines["bench"]
    assert (engine.max_num_batched_tokens, engine.threads_bind, engine.context_tokens) == (
        256,
        "all",
        ENGINE["context_tokens"],
    )


def test_variant_wins_over_the_default():
    document = yaml.safe_load(Variant.parse("max_num_seqs=8").tierway_config("/models/tiny"))
    assert document["engines"]["bench"]["max_num_seqs"] == 8


def test_raw_engine_is_told_nothing_that_only_tierway_knows():
    arguments = Variant.parse(
        "coalesce_window_s=0,stream_interval_tokens=8,threads_bind=all,max_num_seqs=8"
    ).vllm_arguments()
    assert arguments["max_num_seqs"] == 8
    assert not arguments.keys() & {"coalesce_window_s", "stream_interval_tokens", "threads_bind", "context_tokens"}


def test_raw_engine_is_bound_like_ours():
    assert Variant.parse("threads_bind=0-1").vllm_environment()["VLLM_CPU_OMP_THREADS_BIND"] == "0-1"
    assert Variant.parse("").vllm_environment()["VLLM_CPU_OMP_THREADS_BIND"] == "auto"
