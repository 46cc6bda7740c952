"""Study as it was recorded: its trials, and the cells that they are replicates of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import mean, stdev
from typing import Any

from analysis.study.labels import label_of, short_paths, value_label
from analysis.study.weight_trajectory import Trajectory
from search_spaces import Objective
from search_spaces.leading import leader
from search_spaces.objectives import Goals, Scores

SEED = "seed"
Params = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Trial:
    """Parameter set with one seed, its state and its values."""

    number: int
    state: str
    """State: `running`, `interrupted`, `complete`, `pruned` or `failed`."""

    params: Mapping[str, Any]
    """The searched parameters, without the seed."""

    seed: int | None
    variant: str
    metrics: Mapping[str, float]
    """Last value of every metric, by its own name (`test/recall@20`)."""

    pruned_at: int | None = None
    error: str = ""
    retry_of: int | None = None
    start: float = math.nan
    """Seconds since the epoch; NaN if not recorded."""

    end: float = math.nan
    run_id: str = ""
    commits: tuple[str, ...] = ()
    """Commits whose code trained it: several if it was resumed with other code."""

    role: str = ""
    """Role: empty in the search, `confirm` for a winner or its rival on a fresh seed."""

    curves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """Values by metric and epoch; filled for a report only."""

    weights: Trajectory | None = None
    """Learned weights by epoch; filled for a report only."""

    users: Mapping[int, float] = field(default_factory=dict)
    """Test recall@20 of single users by their number; filled for a report only."""

    config: Mapping[str, Any] = field(default_factory=dict)
    """Resolved configuration by dotted path; filled if studies are compared."""

    @property
    def label(self) -> str:
        """Values of the parameters, for people."""
        return label_of(tuple(self.params.items()))

    def result(self, metric: str) -> float:
        """Return the trial's result in a metric; NaN unless it is complete."""
        return self.metrics.get(metric, math.nan) if self.state == "complete" else math.nan


@dataclass(frozen=True)
class Cell:
    """Replicates of one parameter set, over seeds."""

    params: Params
    trials: tuple[Trial, ...]
    is_control: bool = False

    @property
    def label(self) -> str:
        """Values of the parameters, for people."""
        return label_of(self.params)

    @property
    def variant(self) -> str:
        """Variant of the cell's trials."""
        return self.trials[0].variant

    @property
    def code(self) -> str:
        """Commits that trained its trials, shortened; empty if none was recorded."""
        return ", ".join(dict.fromkeys(_short(c) for trial in self.trials for c in trial.commits))

    def count(self, state: str) -> int:
        """Return how many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)

    @property
    def num_seeds(self) -> int:
        """Number of seeds with a complete trial; a seed that ran twice counts once."""
        return len({trial.seed for trial in self.trials if trial.state == "complete"})

    def pruned_epochs(self) -> list[int]:
        """Return the epochs at which trials were pruned."""
        return sorted(t.pruned_at or 0 for t in self.trials if t.state == "pruned")

    def by_seed(self, metric: str) -> dict[int, float]:
        """Return the result of every complete trial by its seed."""
        pairs = ((t.seed or 0, t.result(metric)) for t in self.trials)
        return {seed: value for seed, value in pairs if not math.isnan(value)}

    def mean(self, metric: str) -> float:
        """Return the mean over seeds; NaN without a complete trial."""
        values = list(self.by_seed(metric).values())
        return mean(values) if values else math.nan

    def deviation(self, metric: str) -> float:
        """Return the sample standard deviation over seeds; NaN below two."""
        values = list(self.by_seed(metric).values())
        return stdev(values) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class Study:
    """Study: its question, its settings and every trial."""

    name: str
    tags: Mapping[str, str]
    space: Mapping[str, Any]
    """Resolved space as JSON values; empty if it was not recorded."""

    trials: tuple[Trial, ...]
    """Trials of the search, without those that were run again under another number."""

    run_id: str = ""
    experiment_id: str = ""
    """MLflow experiment that holds the runs."""

    superseded: tuple[Trial, ...] = ()
    """Trials that failed and were run again under another number: counted as cost only."""

    environments: tuple[Mapping[str, Any], ...] = ()
    """Environments that it ran in: the first one, and any other that it was resumed in."""

    confirmation_trials: tuple[Trial, ...] = ()
    """Trials on fresh seeds, apart from the search: in no table of cells and no ranking."""

    start: float = math.nan
    """Seconds since the epoch, of the study's run; NaN if not recorded."""

    end: float = math.nan
    spent: Mapping[str, float] = field(default_factory=dict)
    """Amounts that the drivers counted, by their names in `tune_runner.schema` (`spent/...`)."""

    sessions: tuple[tuple[float, float], ...] = ()
    """Times (start, end) of each driver, in seconds since the epoch; end NaN if it was killed."""

    @property
    def question(self) -> str:
        """Question that the study asks."""
        return self.tags.get("question", "")

    @property
    def objective(self) -> str:
        """Validation metric that trials are selected by."""
        return self.tags.get("objective", "valid/recall@20")

    @property
    def best_objective(self) -> str:
        """Metric name of the objective in the best epoch of a trial."""
        return f"best/{self.objective}"

    @property
    def maximize(self) -> bool:
        """True if more of the objective is better."""
        return self.tags.get("direction", "maximize") != "minimize"

    def sort_key(self, value: float) -> float:
        """Return a key by which the best value of the objective comes first."""
        return self._rule.sort_key(value)

    @cached_property
    def _rule(self) -> Objective:
        return Objective(self.objective, "maximize" if self.maximize else "minimize")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.tags.get("dataset", "unknown")

    @property
    def is_sampled(self) -> bool:
        """True if points were drawn by a sampler, so that cells are not a grid."""
        return self.tags.get("sampler", "grid") != "grid"

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Cells of the search in grid order."""
        return self._cells_of(self.trials)

    @cached_property
    def confirmation_cells(self) -> tuple[Cell, ...]:
        """Cells that were run again on fresh seeds, with those seeds only."""
        return self._cells_of(self.confirmation_trials)

    def _cells_of(self, all_trials: Sequence[Trial]) -> tuple[Cell, ...]:
        groups: dict[str, list[Trial]] = {}
        for trial in all_trials:
            groups.setdefault(repr(sorted(trial.params.items())), []).append(trial)
        cells = []
        for trials in groups.values():
            params = tuple((path, trials[0].params[path]) for path in self._paths(trials[0].params))
            ordered = tuple(sorted(trials, key=lambda t: (t.seed or 0, t.number)))
            cells.append(Cell(params, ordered, self._is_control(dict(params))))
        return tuple(sorted(cells, key=lambda cell: self._grid_position(dict(cell.params))))

    @property
    def control(self) -> Cell | None:
        """Cell that the others are compared with, if the space names one."""
        return next((cell for cell in self.cells if cell.is_control), None)

    @property
    def paths(self) -> list[str]:
        """Paths of the searched parameters."""
        return self._paths(dict.fromkeys(p for t in self.trials for p in t.params))

    @property
    def planned(self) -> int:
        """Number of trials planned; one that is run again counts once."""
        plan = self.space.get("plan") or {}
        return max(len(self.trials), int(plan.get("trials") or 0))

    @cached_property
    def names(self) -> dict[str, str]:
        """Name of each searched parameter; no two alike."""
        return short_paths(self.paths)

    def name_of(self, path: str) -> str:
        """Return a parameter's name."""
        return self.names.get(path, path)

    @property
    def distinct_trials(self) -> list[Trial]:
        """Complete trials; of several with the same parameters and seed the first one."""
        by_identity: dict[str, Trial] = {}
        for trial in self.trials:
            if trial.state == "complete":
                by_identity.setdefault(repr((sorted(trial.params.items()), trial.seed)), trial)
        return list(by_identity.values())

    def count(self, state: str) -> int:
        """Return how many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)

    @cached_property
    def goals(self) -> Goals:
        """Objectives and constraint of the study."""
        if self.space.get("objectives") or self.space.get("constraint"):
            return Goals.of_space(self.space)
        return Goals((self._rule,))

    @cached_property
    def judged_cells(self) -> list[Cell]:
        """Cells that have a result in all that the study judges by."""
        keys = [f"best/{name}" for name in self.goals.metrics]
        return [c for c in self.cells if not any(math.isnan(c.mean(key)) for key in keys)]

    def scores_of(self, cell: Cell) -> Scores:
        """Return the means that a cell is judged by."""
        return self.goals.scores({name: cell.mean(f"best/{name}") for name in self.goals.metrics})

    def ranked(self) -> list[Cell]:
        """Return the cells that have results, the best mean of the objective first.

        Those that a constraint leaves out come last. In a sampled study no cell leads with fewer
        seeds than another (`search_spaces.leading`).
        """
        cells = self.judged_cells
        scores = [self.scores_of(cell) for cell in cells]
        over = self.goals.violations(scores)
        values = {i: list(c.by_seed(self.best_objective).values()) for i, c in enumerate(cells)}
        is_raced = self.is_sampled and self.goals.is_plain
        first = leader(values, self.sort_key, is_sampled=True) if is_raced else None
        keys = [
            (v > 0, first not in (None, i), self.goals.sort_key(s))
            for i, (v, s) in enumerate(zip(over, scores, strict=True))
        ]
        order = sorted(range(len(cells)), key=lambda i: (keys[i], cells[i].trials[0].number))
        return [cells[i] for i in order]

    def best_per_variant(self) -> list[Cell]:
        """Return each variant's best cell by validation, the best variant first."""
        of_variant: dict[str, Cell] = {}
        for cell in self.ranked():
            of_variant.setdefault(cell.variant, cell)
        return list(of_variant.values())

    def _paths(self, params: Mapping[str, Any]) -> list[str]:
        domains = list(self.space.get("domains", {}))
        in_order = [path for path in domains if path in params]
        return [*in_order, *(path for path in params if path not in in_order)]

    def _is_control(self, params: dict[str, Any]) -> bool:
        control = self.space.get("control")
        return control is not None and dict(control) == params

    def _grid_position(self, params: Mapping[str, Any]) -> list[tuple[int, float, str]]:
        """Return a sort key: inactive first, listed values as listed, numbers by size."""
        domains = self.space.get("domains", {})
        position: list[tuple[int, float, str]] = []
        for path in self.paths:
            if path not in params:
                position.append((0, 0.0, ""))
                continue
            value, listed = params[path], domains.get(path, {}).get("values", [])
            if value in listed:
                position.append((1, float(listed.index(value)), ""))
            elif isinstance(value, int | float):
                position.append((1, float(value), ""))
            else:
                position.append((2, 0.0, str(value)))
        return position


def _short(commit: str) -> str:
    """Return a short commit that still says whether code was changed and not committed."""
    name, changed, _ = commit.partition("-")
    return name[:7] + changed + ("dirty" if changed else "")


def cell_name(study: Study, cell: Cell) -> str:
    """Return a cell's name in a sentence: its values or, in a sampled study, its trial."""
    return f"trial {cell.trials[0].number:04d}" if study.is_sampled else cell.label


def values_of(study: Study, params: Params) -> str:
    """Return values by name, for people."""
    return ", ".join(f"{study.name_of(path)}={value_label(value)}" for path, value in params)
