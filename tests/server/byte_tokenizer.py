"""A tokenizer whose tokens are single bytes, with a ChatML template: every character beyond ASCII is cut across tokens."""

import json
from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END = "<|im_end|>"


def byte_tokenizer(words: Sequence[str] = ()) -> Tokenizer:
    """The tokenizer; each of `words` is a token too."""
    vocabulary = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<|im_start|>", END)])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words])
    return tokenizer


def files(template: str = TEMPLATE, words: Sequence[str] = ()) -> dict[str, bytes]:
    """What a server sends of it."""
    settings = {"chat_template": template, "eos_token": {"content": END}, "bos_token": "<s>", "model_max_length": 7}
    return {
        "tokenizer.json": byte_tokenizer(words).to_str().encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
    }
