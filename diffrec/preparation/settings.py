"""Settings of the way from raw events to lists, each with its check; no polars."""

from dataclasses import dataclass
from typing import Literal

from diffrec.config.rules import require

Split = Literal["ratio", "leave_last", "timestamp"]
Threshold = float | Literal["auto"] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareSettings:
    """Settings of `prepare`; defaults are the DiffRec paper's, or ours where it gives none."""

    threshold: Threshold = 4.0
    """Ratings of at least this are interactions; `auto` takes the upper quarter of the scale, None
    all. Without effect if there are no ratings."""

    min_user_interactions: int = 10
    """Users with fewer interactions are left out. The release's own bound is not published."""

    min_item_interactions: int = 10
    """Items with fewer are left out; both bounds are applied until both hold."""

    split: Split = "ratio"
    """Split per user by ratio, per user by the last n, or for all at two moments."""

    ratio: tuple[float, float, float] = (7.0, 1.0, 2.0)
    """Ratio: train, valid, test, in order of time."""

    leave_last: tuple[int, int] = (1, 1)
    """Leave-last: how many items of a user are valid and test."""

    moments: tuple[str, str] | None = None
    """Timestamp: the times at which valid and test begin, in the source's unit or as dates."""

    noisy: bool = False
    """Keep ratings below the threshold as natural noise, in train and valid only."""

    random_noise: float = 0.0
    """Random interactions added to train and to valid, as a share of the true ones in each."""

    seed: int = 1
    """Seed of the random noise."""

    def __post_init__(self) -> None:
        for holds, rule, value in (
            *(
                (getattr(self, name) >= 1, f"{name} >= 1", getattr(self, name))
                for name in ("min_user_interactions", "min_item_interactions")
            ),
            (
                min(self.ratio) >= 0 and self.ratio[0] > 0,
                "a ratio of three numbers of at least 0, the first above 0,",
                ":".join(map(str, self.ratio)),
            ),
            (min(self.leave_last) >= 0, "leave_last >= 0", self.leave_last),
            (
                self.split == "ratio" or self.ratio == (7.0, 1.0, 2.0),
                "--split ratio for a ratio",
                f"--split {self.split} and a ratio",
            ),
            (
                self.split == "leave_last" or self.leave_last == (1, 1),
                "--split leave-last for numbers of last items",
                f"--split {self.split} and such numbers",
            ),
            (0 <= self.random_noise <= 10, "0 <= random_noise <= 10", self.random_noise),
            (self.seed >= 0, "seed >= 0", self.seed),
            (
                (self.moments is not None) == (self.split == "timestamp"),
                "two moments exactly where the split is by timestamp",
                self.moments,
            ),
        ):
            require(holds, f"Preparation needs {rule}, but got {value}; change it.")
