"""The network in torch: the same arithmetic as `tierway_core.assessment`, with what is needed to fit it.

The table stays outside (table.py): the network starts from what was pooled from it.
"""

import numpy as np
import numpy.typing as npt
import torch
from domains import DOMAINS
from torch import Tensor, nn
from torch.nn import functional

from tierway_core.signals import COUNTERS

COLUMNS = 24
SHARED = 16
"""The heads teach these columns; the others are taught by the gains alone, and the heads may read them."""
HIDDEN = 32
BANDS = 5
LABELS = 4
SIZES = (1, 1, BANDS, len(DOMAINS), LABELS)
OUTPUTS = sum(SIZES)
INPUTS = 3 * COLUMNS + len(COUNTERS)


class Network(nn.Module):
    """From three pooled families and the counters to all heads."""

    def __init__(self, mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64]) -> None:
        super().__init__()
        self.scales = nn.Parameter(torch.ones(3, COLUMNS))
        self.hidden = nn.Linear(INPUTS, HIDDEN)
        self.heads = nn.Linear(HIDDEN, OUTPUTS)
        self.skip = nn.Linear(INPUTS, OUTPUTS, bias=False)
        nn.init.normal_(self.skip.weight, std=0.05)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))

    def inputs(self, pooled: Tensor, counters: Tensor) -> Tensor:
        """z of the specification; `pooled` is [texts, 3, COLUMNS], already divided by the root of the number of ids."""
        return torch.cat([(pooled * self.scales).flatten(1), ((counters - self.mean) / self.deviation).clamp(-4, 4)], 1)

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        """Difficulty, log sigma, band logits, domain logits, label logits."""
        out = self.skip(z) + self.heads(functional.relu(self.hidden(z)))
        difficulty, log_sigma, bands, domains, labels = out.split(SIZES, 1)
        return difficulty[:, 0], log_sigma[:, 0].clamp(-2, 1.5), bands, domains, labels
