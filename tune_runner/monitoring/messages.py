"""Messages of the command before, instead of and after a study. Text only."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffrec.credentials import without_password, without_secrets
from search_spaces import SPACES, SearchSpace
from search_spaces.variants import variant_name
from tune_runner.study.config import StudyConfig, StudyPlan, preset_sources

if TYPE_CHECKING:
    from diffrec.data import Dataset

_FIRST = 5
"""Number of trials that a dry run shows in full."""


def list_spaces() -> str:
    """Return the shipped spaces with their questions."""
    width = max(map(len, SPACES))
    lines = []
    for name, space in sorted(SPACES.items()):
        if space.strategy == "grid":
            size = f"{len(space.cells())} cells x {space.replicates} seeds"
        else:
            size = f"{space.trials} trials, {space.strategy}"
        lines.append(f"{name:<{width}}  {size}\n{'':<{width}}  {space.question}")
    return "\n".join(lines)


def dry_run(config: StudyConfig, space: SearchSpace, plan: StudyPlan) -> str:
    """Return a description of the study that would be run."""
    lines = [
        f"study     {config.name}",
        f"question  {space.question}",
        f"dataset   {config.dataset} ({config.protocol})",
        f"trials    {trials_phrase(space, plan)}",
        f"objective {space.objective.name}, {space.objective.direction}",
        *(f"preset    {source}" for source in preset_sources(space, plan.target)),
        *_fusion(config),
    ]
    if plan.sampler != "grid":
        return "\n".join([*lines, *_domains(space)])
    points = space.grid_points(plan.seeds)[: plan.trials]
    for number, (params, seed) in enumerate(points):
        resolved = space.resolve(params, plan.target, seed=seed, overrides=plan.overrides)
        if number < _FIRST:
            shown = {**params, "seed": seed}
            values = ", ".join(f"{key}={value}" for key, value in shown.items())
            lines.append(f"  {number:04d}  {variant_name(params, resolved)}: {values}")
    if len(points) > _FIRST:
        lines.append(f"  ...   {len(points) - _FIRST} more; all {len(points)} configurations valid")
    return "\n".join(lines)


def trials_phrase(space: SearchSpace, plan: StudyPlan) -> str:
    """Return the number of trials and what it consists of."""
    seeds = f"seed{'s' if len(plan.seeds) > 1 else ''} {', '.join(map(str, plan.seeds))}"
    source = f"{len(space.cells())} cells" if plan.sampler == "grid" else f"{plan.sampler} sampler"
    pruner = "nothing is pruned" if plan.pruner == "none" else f"{plan.pruner} pruner"
    return f"{plan.trials} ({source}, {seeds}; {pruner})"


def start_message(
    config: StudyConfig,
    space: SearchSpace,
    plan: StudyPlan,
    dataset: "Dataset",
) -> str:
    """Return the message at the start of a study."""
    train = dataset.train
    interactions = train.nnz + dataset.valid.nnz + dataset.test.nnz
    lines = [
        f"study     {config.name}",
        f"question  {space.question}",
        f"dataset   {dataset.name}: {train.num_users:,} users, {train.num_items:,} items, "
        f"{interactions:,} interactions ({dataset.protocol})",
        *(f"          {note}" for note in dataset.notes),
        f"trials    {trials_phrase(space, plan)}",
        *(f"preset    {source}" for source in preset_sources(space, plan.target)),
    ]
    if plan.pruner != "none" and space.pruner == "none" and space.strategy == "grid":
        lines.append(
            "note      this space compares; a pruned cell is compared at fewer epochs, and its "
            "value never stands as a result"
        )
    return "\n".join(lines)


def end_message(
    *,
    pruned_epochs: Sequence[int],
    failures: Mapping[int, str],
    links: Mapping[str, str],
) -> str:
    """Return the message at the end of a study, besides its table."""
    lines = []
    if pruned_epochs:
        epochs = ", ".join(map(str, sorted(pruned_epochs)[:20]))
        more = " ..." if len(pruned_epochs) > 20 else ""
        lines.append(f"pruned    {len(pruned_epochs)} trials, at epochs {epochs}{more}")
    for number, reason in list(failures.items())[:10]:
        lines.append(f"failed    trial {number:04d}: {reason}")
    if len(failures) > 10:
        lines.append(f"failed    {len(failures) - 10} more")
    return "\n".join([*lines, format_links(links)])


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


def format_links(links: Mapping[str, str]) -> str:
    """Return one line for each link that is not empty."""
    return "\n".join(f"{name:<9} {link}" for name, link in links.items() if link)


def _fusion(config: StudyConfig) -> list[str]:
    fuse = config.request.fuse
    if fuse == 1:
        return []
    count_phrase = "as many trials as speed it up" if fuse == "auto" else f"up to {fuse} trials"
    return [f"fuse      {count_phrase} as one computation; measured before the study starts"]


def _domains(space: SearchSpace) -> list[str]:
    return [f"  {path}  {domain.to_dict()}" for path, domain in space.domains.items()]
