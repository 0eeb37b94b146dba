"""Fits the network to examples."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt
import torch
from data import Example
from encode import Encoded
from network import BANDS, COLUMNS, INPUTS, SHARED, Network
from table import Table
from torch import Tensor
from torch.nn import functional

from tierway_core.signals import BUCKETS

GRID = torch.linspace(-8, 8, 65)
"""Difficulties at which the likelihood of a text's results is known."""

SIGMA_PRIOR = 0.1
"""Draws sigma to 1: sets that mark strictly have difficulties far out on both sides."""

PAIR_SETS = ("routellm_mmlu", "routellm_gsm8k")
BAND_SETS = ({"mmlupro_multi"}, {"zeroeval_gsm8k", "zeroeval_crux", "zeroeval_mathl5"})
"""Where stronger and weaker models can be compared. Linear heads learn it; they shape the table and are not shipped."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network is fitted."""

    epochs: int = 7
    batch: int = 256
    rate: float = 4e-3
    decay: float = 0.02
    table_rate: float = 0.01
    """Of the shared columns, as a share of `rate`; the decay is a multiple of both."""
    table_decay: float = 30.0
    drop: float = 0.4
    """Share of the ids left out at each step."""
    drop_input: float = 0.1
    """Share of the network's inputs left out at each step."""
    bands: float = 4.0
    """This and the next three: how much the heads' losses weigh; the difficulty's weighs 1."""
    domains: float = 0.3
    labels: float = 5.0
    gains: float = 5.0
    gains_rate: float = 0.01
    """Rate and decay of the columns that the gains alone teach."""
    gains_decay: float = 100.0
    seed: int = 1


class Targets:
    """What is known of the examples, as tensors."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.likelihood = torch.zeros(len(examples), len(GRID))
        self.observed = torch.zeros(len(examples), dtype=torch.bool)
        self.bands = torch.full((len(examples), BANDS), -1.0)
        self.band_weights = torch.tensor(band_weights(examples))[:, None]
        for row, example in enumerate(examples):
            if example.results:
                abilities = torch.tensor(example.abilities)[:, None]
                results = torch.tensor([result for _, result in example.results])[:, None]
                logits = abilities - GRID
                self.likelihood[row] = (
                    results * functional.logsigmoid(logits) + (1 - results) * functional.logsigmoid(-logits)
                ).sum(0)
                self.observed[row] = True
            if example.bands is not None:
                self.bands[row] = torch.tensor(example.bands)
        self.gains = torch.tensor([gains_of(example) for example in examples])
        self.domains = torch.tensor([example.domain for example in examples])
        self.labels = torch.tensor([example.label for example in examples])


def loss_of(outputs: tuple[Tensor, ...], targets: Targets, rows: Tensor, recipe: Recipe) -> Tensor:
    """The sum of the heads' losses, each the mean over the rows that know the truth."""
    difficulty, log_sigma, bands, domains, labels = outputs
    total = torch.zeros(())
    seen = targets.observed[rows]
    if seen.any():
        # The results' likelihood, integrated over the difficulty's distribution: results of one text share its difficulty.
        spread = (GRID - difficulty[seen, None]) / log_sigma[seen, None].exp()
        density = -0.5 * spread**2 - log_sigma[seen, None]
        total = total - torch.logsumexp(targets.likelihood[rows][seen] + density, 1).mean() * 0.5
        total = total + SIGMA_PRIOR * log_sigma[seen].square().mean()
    truth = targets.bands[rows]
    known = truth[:, 0] >= 0
    if known.any():
        total = total + recipe.bands * functional.binary_cross_entropy_with_logits(
            bands[known], truth[known], targets.band_weights[rows][known].expand(-1, BANDS)
        )
    for logits, truths, weight in (
        (domains, targets.domains[rows], recipe.domains),
        (labels, targets.labels[rows], recipe.labels),
    ):
        known = truths >= 0
        if known.any():
            total = total + weight * functional.cross_entropy(logits[known], truths[known])
    return total


def band_weights(examples: Sequence[Example]) -> npt.NDArray[np.float32]:
    """Weights of the texts with bands, 1 in the mean: a set of n texts weighs the root of n, so that the largest is not all that counts."""
    kinds = [min(example.sets, default="") if example.bands is not None else None for example in examples]
    texts = Counter(kinds)
    weights = np.array([0.0 if kind is None else texts[kind] ** -0.5 for kind in kinds], np.float32)
    return weights / max(1e-9, weights.sum() / max(1, np.count_nonzero(weights)))


def gains_of(example: Example) -> tuple[float, ...]:
    """By how much stronger models did better than weaker ones, in each kind of comparison that the data hold; else NaN."""
    pair = [strong - weak for name in PAIR_SETS for strong, weak in [example.pairs.get(name, (nan, nan))]]
    bands = example.bands or (nan,) * BANDS
    mine = [bool(example.sets & kind) for kind in BAND_SETS]
    return (*pair, *(bands[4] - (bands[1] + bands[2]) / 2 if is_mine else nan for is_mine in mine))


def loss_of_gains(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error, in units that make a gain worth about a bit, over what is known."""
    known = ~truth.isnan()
    return 4 * functional.mse_loss(predicted[known], truth[known]) if known.any() else torch.zeros(())


def standardisation(encoded: Encoded) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and deviation of the counters; a counter that hardly varies is not blown up."""
    return encoded.counters.mean(0), np.maximum(encoded.counters.std(0), 0.05)


class Model:
    """A table and a network."""

    def __init__(self, encoded: Encoded, seed: int) -> None:
        torch.manual_seed(seed)
        self.table = Table(BUCKETS, COLUMNS, np.random.default_rng(seed))
        self.network = Network(*standardisation(encoded))

    def pool(self, batch: Encoded) -> tuple[Tensor, Tensor]:
        """Pooled families, and by what they are to be divided to be comparable."""
        sums = np.stack([self.table.pool(ids, starts) for ids, starts in zip(batch.ids, batch.starts, strict=True)], 1)
        roots = np.stack([np.sqrt(np.maximum(1, np.diff(starts))) for starts in batch.starts], 1)[:, :, None]
        return torch.from_numpy(sums), torch.from_numpy(roots.astype(np.float32))

    @torch.no_grad()
    def predict(self, encoded: Encoded, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float32]]:
        """Outputs of all heads for the texts at `rows`, and last the inputs z."""
        self.network.eval()
        parts = []
        for start in range(0, len(rows), 1024):
            batch = encoded.take(rows[start : start + 1024])
            sums, roots = self.pool(batch)
            z = self.network.inputs(sums / roots, torch.from_numpy(batch.counters).float())
            parts.append([*(part.numpy() for part in self.network(z)), z.numpy()])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def fit(examples: Sequence[Example], encoded: Encoded, rows: npt.NDArray[np.int64], recipe: Recipe) -> Model:
    """Fits a model to the examples at `rows`. The same seed gives the same model on the same machine."""
    random = np.random.default_rng(recipe.seed)
    targets = Targets(examples)
    model = Model(encoded.take(rows), recipe.seed)
    network = model.network
    gains = torch.nn.Linear(INPUTS, targets.gains.shape[1])
    optimiser = torch.optim.AdamW([*network.parameters(), *gains.parameters()], recipe.rate, weight_decay=recipe.decay)
    steps = recipe.epochs * -(-len(rows) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps, pct_start=0.15)
    is_shared = np.arange(COLUMNS) < SHARED
    table_rate = np.where(is_shared, recipe.table_rate, recipe.gains_rate)
    table_decay = np.where(is_shared, recipe.table_decay, recipe.gains_decay)
    for _ in range(recipe.epochs):
        network.train()
        order = random.permutation(rows)
        for start in range(0, len(order), recipe.batch):
            chosen = order[start : start + recipe.batch]
            batch = encoded.take(chosen).thin(recipe.drop, random)
            sums, roots = model.pool(batch)
            roots = roots * (1 - recipe.drop) ** 0.5  # the mean stays what it is without thinning
            sums.requires_grad_()
            pooled, counters = sums / roots, torch.from_numpy(batch.counters).float()
            for_heads = torch.cat([pooled[..., :SHARED], pooled[..., SHARED:].detach()], 2)
            for_gains = torch.cat([pooled[..., :SHARED].detach(), pooled[..., SHARED:]], 2)
            outputs = network(functional.dropout(network.inputs(for_heads, counters), recipe.drop_input))
            loss = loss_of(outputs, targets, torch.from_numpy(chosen), recipe)
            read = gains(functional.dropout(network.inputs(for_gains, counters), recipe.drop_input))
            loss = loss + recipe.gains * loss_of_gains(read, targets.gains[torch.from_numpy(chosen)])
            optimiser.zero_grad()
            loss.backward()
            assert sums.grad is not None
            for family, (ids, starts) in enumerate(zip(batch.ids, batch.starts, strict=True)):
                model.table.add_gradient(ids, starts, sums.grad[:, family].contiguous().numpy())
            rate = schedule.get_last_lr()[0]
            model.table.step(rate * table_rate, table_decay)
            optimiser.step()
            schedule.step()
    return model
