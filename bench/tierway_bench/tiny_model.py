"""A model of random weights that a real engine loads in seconds: for tests, and for benchmarks in which the engine must not be the limit.

Architecture: Qwen3 with two layers of width 256, about 2 million parameters, and a byte-level tokenizer with one token a byte, so that
prompts of a known length are easy to write. Its answers are noise. The weights are seeded: the same folder wherever it is made.

``python -m tierway_bench.tiny_model FOLDER`` makes it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CONTEXT_TOKENS = 8_192


def make(folder: Path, seed: int = 0) -> Path:
    """Write the model into `folder` unless it is there already, and return the folder. It appears whole or not at all."""
    if (folder / "config.json").is_file():
        return folder
    # Imported here: they take seconds.
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    vocabulary = _write_tokenizer(building)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=_CONTEXT_TOKENS,
        tie_word_embeddings=True,
        eos_token_id=vocabulary - 1,
        bos_token_id=None,
        pad_token_id=vocabulary - 1,
    )
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(building)
    building.rename(folder)
    return folder


def _write_tokenizer(folder: Path) -> int:
    """Write a tokenizer with one token for each byte, and return the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "chat_template": _CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer.get_vocab_size()


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
