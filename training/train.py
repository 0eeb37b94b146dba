"""Fits the weights that are shipped: `make train`.

All rows of the sets in `data.TRAINED` take part. What is to be expected on other rows is what `report.py` prints.
"""

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
import torch
from confidence import familiar, fit_confidence
from data import corpus, load
from encode import encode
from export import export
from fit import Recipe, fit

CHECKOUT = Path(__file__).parent.parent
SHIPPED = CHECKOUT / "router_core/tierway_core/data/classifier.weights"
TIER_LAMBDA = 0.15
"""What a tier's cost is worth: about where the policy of tiers keeps 95 % of the quality of always asking the experts (report.py)."""
NOTE = "Difficulty, pass probability of five bands, domain and conformance label of a prompt; see docs/model-card.md."


def theta_bands(folder: Path) -> list[float]:
    """Mean ability of the models of each band, over the sets that state bands."""
    bands = json.loads((folder / "tier_bands.json").read_text())
    examples = load(
        folder, tuple(name for name in bands if (folder / f"{name}.jsonl.gz").exists() and name != "bfcl_multi")
    )
    ability = {model: theta for e in examples for (model, _), theta in zip(e.results, e.abilities, strict=True)}
    means = []
    for band in range(5):
        names = [f"{name}:{model}" for name, stated in bands.items() for model in stated["bands"][band]]
        means.append(float(np.mean([ability[name] for name in names if name in ability])))
    return means


def main() -> None:
    """Reads the data, fits, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared/routing", help="folder of the data sets")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="the file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # more change the order of sums, and with it the weights
    examples = corpus(arguments.data)
    encoded = encode([example.text for example in examples])
    folds = np.array([example.fold for example in examples])
    # The confidence is learned where a model has to guess: on a fold that it was not fitted to.
    learned, judged = np.flatnonzero(folds != 0), np.flatnonzero(folds == 0)
    confidence = fit_confidence(examples, encoded, fit(examples, encoded, learned, Recipe()), learned, judged)
    rows = np.arange(len(examples))
    model = fit(examples, encoded, rows, Recipe())
    export(
        arguments.output,
        model,
        encoded,
        familiar(examples, encoded, rows),
        confidence=confidence,
        tier_lambda=TIER_LAMBDA,
        theta_bands=theta_bands(arguments.data),
        note=NOTE,
        trained=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    )
    print(f"{len(rows)} texts; wrote {arguments.output}, {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
