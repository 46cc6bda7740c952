"""Rules of a space's objectives and constraint; each error is one sentence."""

from diffrec.errors import UserError
from search_spaces.definition import SpaceDefinition
from search_spaces.objectives import (
    DEFAULT_OBJECTIVE,
    NEED_EMBEDDINGS,
    Constraint,
    Objective,
    short_name,
)

_NUM_OBJECTIVES = (2, 3)


def check_goals(space: SpaceDefinition) -> None:
    """Raise UserError unless objectives and constraint say one thing each."""
    objectives = space.objectives
    for objective in objectives:
        if not isinstance(objective, Objective):
            raise UserError(
                f"`objectives` of space {space.name!r} must be Objectives, but got {objective!r}; "
                f"write Objective({objective!r})."
            )
    names = [objective.name for objective in objectives]
    if objectives and (len(names) not in _NUM_OBJECTIVES or len(set(names)) < len(names)):
        raise UserError(
            f"`objectives` of space {space.name!r} must be two or three different metrics, but got "
            f"({', '.join(names)}); a single one is `objective`."
        )
    if objectives and space.objective not in (DEFAULT_OBJECTIVE, objectives[0]):
        raise UserError(
            f"Space {space.name!r} sets `objective` to {space.objective.name} beside `objectives`; "
            "leave it out."
        )
    if space.constraint is not None:
        constrained = Constraint.parse(space.constraint).metric.name
        if not objectives and constrained == space.objective.name:
            raise UserError(
                f"The constraint of space {space.name!r} is on `{constrained}`, which is its "
                "objective, so it leaves out nothing that could win; choose another `objective`."
            )
    if space.pruner != "none":
        check_pruning(space, f"the {space.pruner} pruner", "pruner='none'")


def check_pruning(space: SpaceDefinition, pruner: str, remedy: str) -> None:
    """Refuse a pruner with several objectives or a constraint.

    Optuna takes no intermediate values of several objectives, and a trial that is behind in the
    objective may be the one that a constraint is measured by.

    Args:
        space: what is searched.
        pruner: named in the sentence.
        remedy: how to leave it out.

    Raises:
        UserError: the space has several objectives or a constraint.
    """
    if not space.goals.is_plain:
        kind = "several objectives" if space.objectives else "a constraint"
        raise UserError(
            f"Space {space.name!r} has {kind}, which only whole trials can be judged by, so "
            f"{pruner} cannot be used; give {remedy}."
        )


def check_confirmation(space: SpaceDefinition) -> None:
    """Refuse `--confirm` with several objectives.

    Raises:
        UserError: the space has several.
    """
    if space.objectives:
        raise UserError(
            f"--confirm runs the best point again, but space {space.name!r} has several "
            "objectives, so a front of points is its answer; give more --seeds instead, or the "
            "space a constraint."
        )


def check_without_embeddings(space: SpaceDefinition, dataset: str) -> None:
    """Refuse a metric that needs item embeddings, for a dataset without any.

    Raises:
        UserError: an objective or the constraint needs them.
    """
    for name in space.goals.metrics:
        if short_name(name) in NEED_EMBEDDINGS:
            raise UserError(
                f"`{name}` needs item embeddings, which dataset {dataset!r} lacks; make them with: "
                "python -m diffrec embed FOLDER, or search another metric."
            )


def check_registration(space: SpaceDefinition) -> None:
    """Refuse `--register` with several objectives.

    Raises:
        UserError: the space has several.
    """
    if space.objectives:
        raise UserError(
            f"--register takes the winner of a study, but space {space.name!r} has several "
            "objectives, so a front of points is its answer; give the space a constraint instead."
        )
