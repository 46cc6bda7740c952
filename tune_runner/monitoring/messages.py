"""Messages of the command before, instead of and after a study. Text only."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from diffrec.credentials import without_password, without_secrets
from search_spaces import SPACES, SearchSpace
from search_spaces.objectives import Goals
from search_spaces.variants import variant_name
from tune_runner.monitoring.answers import (
    ObjectiveAnswer,
    PlanAnswer,
    PlannedTrialAnswer,
    SpaceAnswer,
)
from tune_runner.resources.allocation import TrialResources
from tune_runner.study.config import StudyConfig, StudyPlan, preset_sources

if TYPE_CHECKING:
    from diffrec.data import Dataset

_FIRST = 5
"""Number of trials that a dry run shows in full."""


def list_spaces() -> list[SpaceAnswer]:
    """Return the shipped spaces."""
    answers = []
    for name, space in sorted(SPACES.items()):
        cells = len(space.cells()) if space.strategy == "grid" else None
        answers.append(
            SpaceAnswer(
                name=name,
                question=space.question,
                strategy=space.strategy,
                cells=cells,
                seeds=space.replicates,
                trials=(space.trials or 0) if cells is None else cells * space.replicates,
                variant=None if space.variant is None else str(space.variant),
            )
        )
    return answers


def spaces_text(spaces: Sequence[SpaceAnswer]) -> str:
    """Return the spaces with their questions, for people."""
    width = max(len(space.name) for space in spaces)
    lines = []
    for space in spaces:
        size = f"{space.trials} trials, {space.strategy}"
        if space.cells is not None:
            size = f"{space.cells} cells x {space.seeds} seed{'s' if space.seeds > 1 else ''}"
        lines.append(f"{space.name:<{width}}  {size}\n    {space.question}")
    return "\n".join(lines)


def dry_run(config: StudyConfig, space: SearchSpace, plan: StudyPlan) -> PlanAnswer:
    """Return the study that would be run; every configuration of a grid is made, and so checked."""
    trials = []
    for number, (params, seed) in enumerate(_grid(space, plan)):
        resolved = space.resolve(params, plan.target, seed=seed, overrides=plan.overrides)
        variant = variant_name(params, resolved)
        trials.append(PlannedTrialAnswer(number=number, variant=variant, seed=seed, params=params))
    objectives = objective_answers(space.goals)
    domains = {path: domain.to_dict() for path, domain in space.domains.items()}
    return PlanAnswer(
        study=config.name,
        space=space.name,
        question=space.question,
        dataset=config.dataset,
        protocol=config.protocol,
        objective=objectives[0],
        objectives=objectives,
        constraint=space.constraint,
        sampler=plan.sampler,
        pruner=plan.pruner,
        seeds=plan.seeds,
        cells=None if plan.is_sampled else len(space.cells()),
        num_trials=plan.trials,
        presets=preset_sources(space, plan.target),
        fuse=config.request.fuse,
        budget=config.budgets.describe() or None,
        trials=trials,
        domains=domains if plan.is_sampled else {},
    )


def objective_answers(goals: Goals) -> list[ObjectiveAnswer]:
    """Return the objectives for programs."""
    return [ObjectiveAnswer(name=one.name, direction=one.direction) for one in goals.objectives]


def _grid(space: SearchSpace, plan: StudyPlan) -> Sequence[tuple[Mapping[str, Any], int]]:
    return () if plan.is_sampled else space.grid_points(plan.seeds)[: plan.trials]


def dry_run_text(answer: PlanAnswer) -> str:
    """Return the study that would be run, for people: the first trials of a grid."""
    trials = _trials_phrase(
        answer.num_trials, answer.cells, answer.sampler, answer.seeds, answer.pruner
    )
    lines = [
        f"study     {answer.study}",
        f"question  {answer.question}",
        f"dataset   {answer.dataset} ({answer.protocol})",
        f"trials    {trials}",
        *(f"objective {one.name}, {one.direction}" for one in answer.objectives),
        *([] if answer.constraint is None else [f"within    {answer.constraint}"]),
        *(f"preset    {source}" for source in answer.presets),
        *_fusion(answer.fuse),
        *([] if answer.budget is None else [f"budget    {answer.budget}"]),
        *(f"  {path}  {dict(domain)}" for path, domain in answer.domains.items()),
    ]
    for trial in answer.trials[:_FIRST]:
        shown = {**trial.params, "seed": trial.seed}
        values = ", ".join(f"{key}={value}" for key, value in shown.items())
        lines.append(f"  {trial.number:04d}  {trial.variant}: {values}")
    count = len(answer.trials)
    if count > _FIRST:
        lines.append(f"  ...   {count - _FIRST} more; all {count} configurations valid")
    return "\n".join(lines)


def _trials_phrase(
    num_trials: int, cells: int | None, sampler: str, seeds: Sequence[int], pruner: str
) -> str:
    """Return the number of trials and what it consists of."""
    seeds_phrase = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    source = f"{sampler} sampler" if cells is None else f"{cells} cells"
    pruning = "nothing is pruned" if pruner == "none" else f"{pruner} pruner"
    return f"{num_trials} ({source}, {seeds_phrase}; {pruning})"


def start_message(
    config: StudyConfig,
    space: SearchSpace,
    plan: StudyPlan,
    dataset: "Dataset",
    note: str | None = None,
) -> str:
    """Return the message at the start of a study; `note` is its last line."""
    train, cells = dataset.train, None if plan.is_sampled else len(space.cells())
    interactions = train.nnz + dataset.valid.nnz + dataset.test.nnz
    lines = [
        f"study     {config.name}",
        f"question  {space.question}",
        f"dataset   {dataset.name}: {train.num_users:,} users, {train.num_items:,} items, "
        f"{interactions:,} interactions ({dataset.protocol})",
        *(f"          {note}" for note in dataset.notes),
        f"trials    {_trials_phrase(plan.trials, cells, plan.sampler, plan.seeds, plan.pruner)}",
        *(f"preset    {source}" for source in preset_sources(space, plan.target)),
    ]
    if config.budgets.are_given:
        lines.append(f"budget    {config.budgets.describe()}")
    if plan.pruner != "none" and space.pruner == "none" and space.strategy == "grid":
        lines.append(
            "note      this space compares; a pruned cell is compared at fewer epochs, and its "
            "value never stands as a result"
        )
    return "\n".join([*lines, note] if note else lines)


def end_message(pruned_epochs: Sequence[int], failures: Mapping[int, str]) -> list[str]:
    """Return lines about what did not run to its end, printed below the study's table."""
    lines = []
    if pruned_epochs:
        epochs = ", ".join(map(str, sorted(pruned_epochs)[:20]))
        more = " ..." if len(pruned_epochs) > 20 else ""
        lines.append(f"pruned    {len(pruned_epochs)} trials, at epochs {epochs}{more}")
    for number, reason in list(failures.items())[:10]:
        lines.append(f"failed    trial {number:04d}: {reason}")
    if len(failures) > 10:
        lines.append(f"failed    {len(failures) - 10} more")
    return lines


@dataclass(frozen=True, slots=True)
class Unsent:
    """Messages that MLflow has not accepted."""

    messages: int
    reason: str | None
    """Last error; None if it was only slow."""


def mlflow_unavailable(reason: str) -> str:
    """Return the message while MLflow does not answer."""
    reason = without_secrets(reason)  # MLflow names the address with all that stands in it
    return f"MLflow    does not answer ({reason}); the study continues, and its record is kept"


def unsent(backlog: Unsent, resume_command: str) -> str:
    """Return the message if MLflow has not accepted the whole record."""
    reason = backlog.reason or "it was too slow"
    return (
        f"MLflow    has not taken {backlog.messages} messages ({reason}), so there is no report; "
        f"once that is corrected, send them and make it with: {resume_command}"
    )


def mlflow_hint(uri: str) -> str:
    """Return the server's address, or the command that opens a database; without a password."""
    uri = without_password(uri)
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(uri)}"


def start_links(resources: TrialResources, dashboard: str | None) -> dict[str, str]:
    """Return where a study runs, and where it can be watched, by label."""
    return {"place": resources.describe(), "Ray": dashboard or ""}


def end_links(uri: str, folder: Path) -> dict[str, str]:
    """Return where a study's record and files are, by label."""
    return {"MLflow": mlflow_hint(uri), "files": str(folder)}


def _fusion(fuse: int | Literal["auto"]) -> list[str]:
    if fuse == 1:
        return []
    count_phrase = "as many trials as speed it up" if fuse == "auto" else f"up to {fuse} trials"
    return [f"fuse      {count_phrase} as one computation; measured before the study starts"]
