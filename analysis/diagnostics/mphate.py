"""M-PHATE embedding of units over time; ours, since the package m-phate ended in 2020.

A slice is an epoch, a unit what has a value in every slice. Within a slice units are near by an
alpha-decaying kernel with an adaptive bandwidth; between slices a unit is near to itself by a
Gaussian kernel with one bandwidth for all. The distance drawn is that of diffusion potentials,
-log P^t, and the drawing minimises its stress.

Source: Gigante et al., "Visualizing the PHATE of Neural Networks", NeurIPS 2019 (kernel), and Moon
et al., Nature Biotechnology 2019 (potential distance, entropy's knee). The drawing is SMACOF from
classical scaling (de Leeuw 1977; Torgerson 1952). Written from the
definitions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist, squareform

Array = NDArray[np.float64]

_LEAST = float(np.finfo(float).eps)
INTER_SHARE = 25 / 1034
"""Neighbours between slices as a share of the slices: 25 of 1,034 in the reproduction report."""

_LONGEST = 64
"""Diffusion times among which the knee is sought."""

_ROUNDS = 300


def embed(values: Array, *, most_points: int = 400) -> tuple[Array, NDArray[np.int64]]:
    """Return two coordinates of every unit in the slices kept, and the numbers of these slices.

    Args:
        values: (slices, units, features).
        most_points: bound on slices kept times units; slices are dropped evenly, never the ends.

    Returns:
        (slices kept, units, 2) and (slices kept,).
    """
    max_slices = max(4, most_points // values.shape[1])
    slices = np.unique(
        np.linspace(0, len(values) - 1, min(max_slices, len(values))).round().astype(int)
    )
    points = scale_to_plane(potential_distances(multislice_kernel(values[slices])))
    return points.reshape(len(slices), values.shape[1], 2), slices


def multislice_kernel(
    values: Array,
    *,
    intra_neighbours: int = 2,
    inter_neighbours: int | None = None,
    decay: float = 5.0,
) -> Array:
    """Return the affinity of every (slice, unit) with every other, symmetric.

    Row `t * units + i` is unit i in slice t.

    Args:
        values: (slices, units, features).
        intra_neighbours: neighbour that sets the bandwidth within a slice.
        inter_neighbours: slice that sets the bandwidth between slices; None: scaled with the
            slices, `INTER_SHARE` of them and at least 2. A fixed 25 of 80 would be a third of the
            training: units would hardly move.
        decay: exponent of the kernel within a slice.

    Returns:
        (slices * units, slices * units).
    """
    slices, units, _ = values.shape
    if inter_neighbours is None:
        inter_neighbours = max(2, round(INTER_SHARE * slices))
    kernel = np.zeros((slices, units, slices, units))
    for t in range(slices):
        kernel[t, :, t, :] = _within(values[t], min(intra_neighbours, units - 1), decay)
    distances = np.stack([cdist(values[:, i], values[:, i]) for i in range(units)])
    neighbour = min(inter_neighbours, slices - 1)
    width = np.mean([max(np.median(_nth_nearest(d, neighbour)), _LEAST) for d in distances])
    between = np.exp(-((distances / width) ** 2))
    between[:, np.arange(slices), np.arange(slices)] = 0
    for i in range(units):
        kernel[:, i, :, i] += between[i]
    return kernel.reshape(slices * units, slices * units)


def potential_distances(kernel: Array) -> Array:
    """Return the distances between the rows of -log P^t, t at the knee of the entropy."""
    degree = kernel.sum(axis=1)
    root = np.sqrt(degree)
    values, vectors = np.linalg.eigh(kernel / np.outer(root, root))
    values = np.clip(values, 0, 1)
    power = (vectors * values ** _knee(values)) @ vectors.T
    transition = np.clip(power / root[:, None] * root[None, :], 0, 1)
    return squareform(pdist(-np.log(transition + 1e-7)))


def scale_to_plane(distances: Array) -> Array:
    """Return points of the plane, (n, 2), whose distances are as near to `distances` as found."""
    n = len(distances)
    centred = -0.5 * (distances**2 - _means(distances**2))
    values, vectors = np.linalg.eigh(centred)
    points = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0))
    points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])  # eigenvectors have no sign
    stress = np.inf
    for _ in range(_ROUNDS):
        current = cdist(points, points)
        before, stress = stress, float(((current - distances) ** 2).sum())
        if before - stress <= 1e-6 * stress:
            break
        ratio = np.where(current > 0, distances / np.where(current > 0, current, 1), 0.0)
        points = (np.diag(ratio.sum(axis=1)) - ratio) @ points / n  # Guttman's transform
    return points


def _within(values: Array, neighbour: int, decay: float) -> Array:
    distances = cdist(values, values)
    width = np.maximum(_nth_nearest(distances, neighbour), _LEAST)
    kernel = np.exp(-((distances / width[:, None]) ** decay))
    kernel[kernel < 1e-4] = 0
    return (kernel + kernel.T) / 2


def _nth_nearest(distances: NDArray[Any], n: int) -> Array:
    return np.partition(distances, n, axis=1)[:, n]  # 0 is the point itself


def _knee(eigenvalues: Array) -> int:
    """Return the time at which the entropy of the diffusion stops falling fast."""
    times = np.arange(1, _LONGEST + 1)
    powers = eigenvalues[None, :] ** times[:, None]
    shares = powers / powers.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(shares + _LEAST)).sum(axis=1)
    chord = np.linspace(entropy[0], entropy[-1], len(times))
    return int(times[np.argmax(chord - entropy)])


def _means(square: Array) -> Array:
    rows = square.mean(axis=1, keepdims=True)
    return rows + rows.T - square.mean()
