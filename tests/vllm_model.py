"""Turns the embedded GGUF weights into a model directory that vLLM loads, once, in the cache beside them.

    python tests/vllm_model.py    # prints the directory

Needs torch, transformers and gguf, as `make .venv-vllm` installs them; vLLM's own reading of GGUF needs CUDA.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from mathsynth import models

NAME = "smollm2-135m"
CONFIG = "config.json"


def model_directory() -> Path:
    """The directory, converted on the first call (about ten seconds). UsageError if the weights are not here."""
    path = models.known(NAME).path
    target = path.with_name(f"{NAME}-bfloat16-{models.known(NAME).sha256[:8]}")
    if not (target / CONFIG).exists():
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=".converting-"))
        try:
            _convert(models.weights(NAME), scratch)
            try:
                os.rename(scratch, target)
            except OSError:
                # Another process was faster; the directory is there whole or not at all.
                if not (target / CONFIG).exists():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # As a plain model: with the quantisation that it remembers vLLM would look for GGUF weights again.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = LlamaForCausalLM(config).to(torch.bfloat16)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(target)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(target)


if __name__ == "__main__":
    print(model_directory())
