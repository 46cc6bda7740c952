"""M-PHATE from its definition: the kernel equals a slow clear one, the drawing keeps its order."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from analysis.diagnostics.mphate import (
    embed,
    multislice_kernel,
    potential_distances,
    scale_to_plane,
)


def slow_kernel(values, intra, inter, decay):
    """The sums of the paper, one pair at a time."""
    slices, units, _ = values.shape
    kernel = np.zeros((slices * units, slices * units))
    for t in range(slices):
        distance = [[math.dist(a, b) for b in values[t]] for a in values[t]]
        for i in range(units):
            for j in range(units):
                sides = []
                for a, b in ((i, j), (j, i)):
                    k = math.exp(-((distance[a][b] / sorted(distance[a])[intra]) ** decay))
                    sides.append(k if k >= 1e-4 else 0.0)
                kernel[t * units + i, t * units + j] = sum(sides) / 2
    medians = []
    for i in range(units):
        rows = [sorted(math.dist(a, b) for b in values[:, i]) for a in values[:, i]]
        medians.append(np.median([row[inter] for row in rows]))
    for i in range(units):
        for t in range(slices):
            for s in range(slices):
                if s != t:
                    distances = math.dist(values[t, i], values[s, i]) / np.mean(medians)
                    kernel[t * units + i, s * units + i] += math.exp(-(distances**2))
    return kernel


def walks(slices=12, units=6, seed=0):
    """Units that start together and part in two groups."""
    rng = np.random.default_rng(seed)
    way = np.where(np.arange(units) < units // 2, 1.0, -1.0)
    time = np.linspace(0, 3, slices)[:, None, None]
    return time * way[None, :, None] + rng.normal(0, 0.05, (slices, units, 4))


def test_kernel_is_the_sum_of_the_papers_two_kernels():
    values = walks()
    kernel = multislice_kernel(values, intra_neighbours=2, inter_neighbours=5)
    assert kernel == pytest.approx(slow_kernel(values, 2, 5, 5.0), abs=1e-12)
    assert np.array_equal(kernel, kernel.T)


def test_units_that_start_alike_work_and_few_slices_do_too():
    values = np.ones((3, 3, 2)) + np.arange(3)[:, None, None] * np.arange(3)[None, :, None]
    points, slices = embed(values)
    assert points.shape == (3, 3, 2)
    assert slices.tolist() == [0, 1, 2]
    assert np.isfinite(points).all()


def test_groups_that_part_are_drawn_apart_and_a_unit_stays_near_itself():
    values = walks(slices=20)
    points, slices = embed(values, most_points=90)
    assert slices[0] == 0
    assert slices[-1] == 19
    assert len(slices) * 6 <= 90
    end = squareform(pdist(points[-1]))
    within = max(end[:3, :3].max(), end[3:, 3:].max())
    assert end[:3, 3:].min() > 3 * within
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    assert np.median(steps) < 0.2 * np.linalg.norm(np.ptp(points.reshape(-1, 2), axis=0))


def motion_over_separation(points):
    """Mean way of a unit from the first slice to the last, over the mean distance of two units."""
    distances = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    units = distances.shape[1]
    motion = np.linalg.norm(points[-1] - points[0], axis=-1).mean()
    return motion / distances[:, ~np.eye(units, dtype=bool)].mean()


def test_units_that_move_together_are_drawn_as_curves_not_as_dots():
    """Five units go the same way, side by side; only a neighbourhood that is local shows it."""
    rng = np.random.default_rng(3)
    time = np.linspace(0, 1, 400)[:, None, None]
    way = np.exp(-3 * time * np.linspace(0.2, 1, 10)[None, None, :])
    values = way * (1 + 0.004 * np.arange(5)[None, :, None]) + rng.normal(0, 1e-4, (400, 5, 10))
    points, slices = embed(values)
    assert len(slices) == 80
    assert motion_over_separation(points) > 10
    wide = multislice_kernel(values[slices], inter_neighbours=25)
    still = scale_to_plane(potential_distances(wide)).reshape(points.shape)
    assert motion_over_separation(still) < 2


REFERENCE = Path(__file__).parents[4] / "shared/reference/mphate"


@pytest.mark.parametrize("name", ["ml-1m_clean", "ml-1m_noisy", "yelp_clean"])
def test_the_posters_picture_comes_back_from_its_own_weights(name):
    """W of the report's runs: its five diffusion steps move along a U, side by side."""
    path = REFERENCE / f"{name}.npy"
    if not path.exists():
        pytest.skip(f"the report's recorded weights are not here ({path})")
    points, _ = embed(np.load(path, allow_pickle=False).astype(np.float64))
    assert motion_over_separation(points) > 10


def test_the_same_weights_give_the_same_drawing():
    first, second = (embed(walks())[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_points_of_a_plane_are_found_again():
    points = np.random.default_rng(1).normal(size=(30, 2))
    result = scale_to_plane(squareform(pdist(points)))
    assert pdist(result) == pytest.approx(pdist(points), abs=1e-6)


def test_potential_distance_is_zero_on_the_diagonal_and_symmetric():
    distances = potential_distances(multislice_kernel(walks()))
    assert np.array_equal(distances, distances.T)
    assert not distances.diagonal().any()
