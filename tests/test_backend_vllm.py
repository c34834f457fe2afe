"""What can be said of the vLLM backend without vLLM: the hint when it is missing, and the checks of its config."""

from __future__ import annotations

import importlib.util

import pytest
from pydantic import ValidationError

from mathsynth.backends import vllm as backend
from mathsynth.errors import UsageError


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_one_line_says_how_to_install_it() -> None:
    with pytest.raises(UsageError, match=r"run: pip install 'mathsynth\[vllm\]'"):
        backend.connect(backend.Config(backend="vllm", model="m"))


def test_settings_with_a_key_of_their_own_are_not_taken_from_engine_args() -> None:
    with pytest.raises(ValidationError, match="'tensor_parallel_size' is set by"):
        backend.Config(backend="vllm", model="m", engine_args={"tensor_parallel_size": 2})
    assert backend.Config(backend="vllm", model="m", engine_args={"max_num_seqs": 8}).engine_args == {"max_num_seqs": 8}


def test_what_changes_the_weights_is_in_the_hash_and_what_changes_the_speed_is_not() -> None:
    hashed = backend.Config(backend="vllm", model="m").model_dump()
    assert {"lora", "quantization", "dtype"} <= set(hashed)
    assert not {"tensor_parallel_size", "max_model_len", "engine_args", "enforce_eager", "weights"} & set(hashed)
