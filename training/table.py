"""The hashed table while it is fitted. torch's EmbeddingBag spends its time sorting; these loops take a hundredth of it."""

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@numba.njit(fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def _sum(table, ids, starts, out):  # type: ignore[no-untyped-def]
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            for column in range(table.shape[1]):
                out[row, column] += table[ids[at], column]


@numba.njit(fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def _scatter(gradient, ids, starts, upstream):  # type: ignore[no-untyped-def]
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            for column in range(gradient.shape[1]):
                gradient[ids[at], column] += upstream[row, column]


@numba.njit(fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def _descend(table, gradient, momentum, rate, decay):  # type: ignore[no-untyped-def]
    for row in range(table.shape[0]):
        for column in range(table.shape[1]):
            momentum[row, column] = 0.9 * momentum[row, column] + gradient[row, column]
            table[row, column] -= rate[column] * momentum[row, column] + decay[column] * table[row, column]
            gradient[row, column] = 0.0


class Table:
    """A table of `columns` numbers a bucket, fitted by gradient descent with momentum.

    The gradient is divided by its root mean square over the column, not over each bucket as Adam would: what is rare moves
    little, which is most of the regularisation.
    """

    def __init__(self, buckets: int, columns: int, random: np.random.Generator) -> None:
        self.weights: Floats = (random.standard_normal((buckets, columns)) * 0.02).astype(np.float32)
        self._gradient, self._momentum = (np.zeros_like(self.weights) for _ in range(2))
        self._square = np.zeros(columns)
        self._steps = 0

    def pool(self, ids: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64]) -> Floats:
        """The sum of the rows of each text's ids."""
        out = np.zeros((len(starts) - 1, self.weights.shape[1]), np.float32)
        _sum(self.weights, ids, starts, out)
        return out

    def add_gradient(self, ids: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64], upstream: Floats) -> None:
        """Takes in the gradient of what `pool` gave for the same ids."""
        _scatter(self._gradient, ids, starts, upstream)

    def step(self, rate: npt.NDArray[np.float64], decay: npt.NDArray[np.float64]) -> None:
        """One step against the gradient, which it clears. Rate and decay are given by column."""
        self._steps += 1
        self._square += 0.01 * (np.square(self._gradient).mean(0) - self._square)
        size = np.sqrt(self._square / (1 - 0.99**self._steps)) + 1e-12
        _descend(
            self.weights,
            self._gradient,
            self._momentum,
            (rate / size).astype(np.float32),
            (rate * decay).astype(np.float32),
        )
