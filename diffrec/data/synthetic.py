"""The embedded dataset: generated in a second, equal on every machine, with a planted truth.

Items are grouped into communities, and within them into scenes. A user has a home community and
moves through a few phases, each drawn to one scene, fading into the next as time goes by: the
latest items say more about the next ones than the oldest do. Within a scene, and among communities,
popularity is skewed. A share of the train and valid interactions is false-positive noise: uniform
random items, as in the noisy releases, and never in the test list. Each history is cut 7:1:2 in
time.

Determinism: all randomness comes from the raw 64-bit output of NumPy's PCG64, which NumPy
guarantees never to change (unlike `Generator`'s distributions), and everything drawn passes only
through addition, multiplication, division and comparison, which are exact to the bit on every
machine. No logarithm or power is taken, so the lists are equal everywhere; a test pins their
SHA-256.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diffrec.config.rules import require
from diffrec.data.assembly import assemble
from diffrec.data.interactions import Dataset, Interactions, Protocol

_PATIENT_ROUNDS = 60
"""Rounds in which a slot draws by its own taste; after that any free item is drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticConfig:
    """Planted structure. The defaults are the embedded dataset."""

    num_users: int = 600
    num_items: int = 400

    num_communities: int = 4
    """Large groups of items, which a clustering of the items should recover."""

    scenes_per_community: int = 5
    """Small groups within a community; a user prefers one in each phase."""

    num_phases: int = 3
    """Tastes a user passes through, spread evenly over the history; 1 means no drift."""

    loyalty: float = 0.8
    """Probability that a phase's scene is in the user's home community."""

    min_length: int = 30
    max_length: int = 60
    """Interactions per user, uniform on the closed interval [min_length, max_length]."""

    exploration: float = 0.1
    """Share of true interactions drawn from overall popularity, not from the phase's scene."""

    noise: float = 0.25
    """Share of train and valid interactions that are false positives."""

    skew: float = 2.0
    """Items of a scene have popularity 1 / skew, 1 / (1 + skew), ...: the less, the more skewed."""

    seed: int = 1

    def __post_init__(self) -> None:
        # A history must leave free items to draw from, and a scene needs an item.
        fewest = max(2 * self.max_length, self.num_scenes)
        for holds, rule, value in (
            *(
                (getattr(self, name) >= 1, f"{name} >= 1", getattr(self, name))
                for name in ("num_users", "num_communities", "scenes_per_community", "num_phases")
            ),
            *(
                (0 <= getattr(self, name) <= 1, f"0 <= {name} <= 1", getattr(self, name))
                for name in ("loyalty", "exploration", "noise")
            ),
            (
                5 <= self.min_length <= self.max_length,
                "5 <= min_length <= max_length",
                f"{self.min_length} and {self.max_length}",
            ),
            (self.skew > 0, "skew > 0", self.skew),
            (self.seed >= 0, "seed >= 0", self.seed),
            (self.num_items >= fewest, f"num_items >= {fewest}", self.num_items),
        ):
            require(holds, f"`{rule}` must hold for synthetic data, but got {value}.")

    @property
    def num_scenes(self) -> int:
        """Number of scenes over all communities."""
        return self.num_communities * self.scenes_per_community


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """The generated lists and the truth behind them."""

    train: Interactions
    valid: Interactions
    test: Interactions
    item_communities: np.ndarray
    """int64 (num_items,): the community each item was planted in."""


def generate(
    config: SyntheticConfig, *, name: str = "synthetic", protocol: Protocol = "published"
) -> Dataset:
    """Return a generated dataset of any size, as if it had been loaded; `plant` has its truth."""
    planted = plant(config)
    return assemble(
        name, planted.train, planted.valid, planted.test, protocol=protocol, in_time_order=True
    )


def plant(config: SyntheticConfig) -> Planted:
    """Generate the lists and the truth; time and memory grow with the number of interactions."""
    lengths = config.min_length + _below(
        _uniforms(config, "lengths"), config.max_length - config.min_length + 1, config.num_users
    )
    num_test = (2 * lengths + 5) // 10  # a fifth and a tenth, rounded; at least one by min_length
    num_valid = (lengths + 5) // 10
    users = np.repeat(np.arange(config.num_users), lengths)
    ranks = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    remaining = np.repeat(lengths, lengths) - ranks
    in_test = remaining <= np.repeat(num_test, lengths)
    in_valid = ~in_test & (remaining <= np.repeat(num_test + num_valid, lengths))

    catalogue = _Catalogue(config)
    is_noise = ~in_test & (_uniforms(config, "noise")(len(users)) < config.noise)
    draw = _Draw(config, catalogue, users, ranks / (np.repeat(lengths, lengths) - 1), is_noise)
    pairs = np.stack([users, _fill_without_repeats(users, config.num_items, draw)], axis=1)

    def rows(mask: np.ndarray) -> Interactions:
        return Interactions.from_pairs(pairs[mask], config.num_users, config.num_items)

    return Planted(
        train=rows(~in_test & ~in_valid),
        valid=rows(in_valid),
        test=rows(in_test),
        item_communities=catalogue.item_communities,
    )


class _Catalogue:
    """Items laid out scene after scene, with running sums of popularity to draw from."""

    def __init__(self, config: SyntheticConfig) -> None:
        self.num_items = config.num_items
        # Item ids say nothing of the scene: the order is a permutation.
        self.item_at = np.argsort(_uniforms(config, "items")(config.num_items), kind="stable")
        self.bounds = np.arange(config.num_scenes + 1) * config.num_items // config.num_scenes
        sizes = np.diff(self.bounds)
        rank = np.arange(config.num_items) - np.repeat(self.bounds[:-1], sizes)
        self._running = np.concatenate(([0.0], np.cumsum(1.0 / (rank + config.skew))))
        self.item_communities = np.empty(config.num_items, dtype=np.int64)
        scene_of_index = np.repeat(np.arange(config.num_scenes), sizes)
        self.item_communities[self.item_at] = scene_of_index // config.scenes_per_community

    def by_popularity(self, uniform: np.ndarray, scene: np.ndarray | None = None) -> np.ndarray:
        """Return items by popularity within the given scenes, or in the whole catalogue."""
        low = 0.0 if scene is None else self._running[self.bounds[scene]]
        high = self._running[-1] if scene is None else self._running[self.bounds[scene + 1]]
        index = np.searchsorted(self._running, low + uniform * (high - low), side="right") - 1
        return self.item_at[np.minimum(index, self.num_items - 1)]


class _Draw:
    """Proposes an item for each slot: noise, exploration, or the scene of the slot's time."""

    def __init__(
        self,
        config: SyntheticConfig,
        catalogue: _Catalogue,
        users: np.ndarray,
        times: np.ndarray,
        is_noise: np.ndarray,
    ) -> None:
        self._config, self._catalogue = config, catalogue
        self._users, self._is_noise = users, is_noise
        self._phases = times * (config.num_phases - 1)  # phase 1.25: three in four from phase 1
        self._scenes = _user_scenes(config)
        self._next = _uniforms(config, "draws")

    def __call__(self, slots: np.ndarray, any_item: bool) -> np.ndarray:
        uniform = self._next(3 * len(slots)).reshape(3, -1)
        phase = (self._phases[slots] + uniform[0]).astype(np.int64)
        scene = self._scenes[self._users[slots], np.minimum(phase, self._config.num_phases - 1)]
        taste = self._catalogue.by_popularity(uniform[1], scene)
        popular = self._catalogue.by_popularity(uniform[1])
        random = (uniform[1] * self._config.num_items).astype(np.int64)
        proposal = np.where(uniform[2] < self._config.exploration, popular, taste)
        return np.where(self._is_noise[slots] | any_item, random, proposal)


def _user_scenes(config: SyntheticConfig) -> np.ndarray:
    """Return int64 (num_users, num_phases): the scene each phase of each user is drawn to."""
    uniforms = _uniforms(config, "tastes")
    shape = (config.num_users, config.num_phases)
    cells = config.num_users * config.num_phases
    # Communities differ in size of following, as 1 / 2, 1 / 3, 1 / 4, ...
    cumulative_size = np.cumsum(1.0 / (np.arange(config.num_communities) + 2))

    def communities(count: int) -> np.ndarray:
        return np.searchsorted(cumulative_size, uniforms(count) * cumulative_size[-1], side="right")

    home = communities(config.num_users)[:, None]
    away = communities(cells).reshape(shape)
    community = np.where(uniforms(cells).reshape(shape) < config.loyalty, home, away)
    scene = _below(uniforms, config.scenes_per_community, cells).reshape(shape)
    return community * config.scenes_per_community + scene


def _fill_without_repeats(
    users: np.ndarray, num_items: int, draw: Callable[[np.ndarray, bool], np.ndarray]
) -> np.ndarray:
    """Return an item for each slot, none twice for a user: rejected proposals are drawn again."""
    items = np.empty(len(users), dtype=np.int64)
    existing = np.empty(0, dtype=np.int64)  # sorted keys user * num_items + item
    pending = np.arange(len(users))
    rounds = 0
    while len(pending):
        proposal = draw(pending, rounds >= _PATIENT_ROUNDS)
        keys, first = np.unique(users[pending] * num_items + proposal, return_index=True)
        is_free = ~np.isin(keys, existing, assume_unique=True, kind="sort")
        accepted = first[is_free]  # of equal proposals in a round the earliest slot gets the item
        items[pending[accepted]] = proposal[accepted]
        existing = np.sort(np.concatenate((existing, keys[is_free])), kind="stable")
        pending = np.delete(pending, accepted)
        rounds += 1
    return items


def _uniforms(config: SyntheticConfig, purpose: str) -> Callable[[int], np.ndarray]:
    """Return a source of float64 in [0, 1), independent of the other purposes' sources."""
    bits = np.random.PCG64(np.random.SeedSequence([config.seed, *purpose.encode()]))
    return lambda count: (bits.random_raw(count) >> np.uint64(11)) * 2.0**-53


def _below(uniforms: Callable[[int], np.ndarray], bound: int, count: int) -> np.ndarray:
    """Return int64 (count,), uniform on 0 ... bound - 1."""
    return (uniforms(count) * bound).astype(np.int64)
