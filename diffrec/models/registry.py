"""Finds the model class that a configuration names; the only place that imports one by name."""

from diffrec import user_code
from diffrec.config.base import ModelConfig
from diffrec.errors import UserError
from diffrec.models.base import Recommender


def recommender_class(config: ModelConfig) -> type[Recommender]:
    """Return the class of the recommender that `config` belongs to.

    Raises:
        UserError: it cannot be imported, or is no recommender.
    """
    try:
        found = user_code.load_attribute(config.model, type(config))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"The model {config.model} of {config.variant} cannot be imported "
            f"({user_code.reason(error)}); correct it."
        ) from error
    if not isinstance(found, type) or not issubclass(found, Recommender):
        raise UserError(
            f"The model {config.model} of {config.variant} must be a subclass of "
            "diffrec.models.base.Recommender, but is none; make it one."
        )
    solved = found.overrides("fit")
    learns = found.overrides("training_loss") or found.overrides("train_epoch")
    if not found.overrides("scores") or not (solved or learns):
        lacking = "`scores`" if solved or learns else "`training_loss` (or `fit`)"
        raise UserError(
            f"The model {config.model} of {config.variant} must have a method {lacking}, but has "
            "none; write it."
        )
    if solved == hasattr(config, "training"):
        how = "needs no field `training`" if solved else "needs a field `training: TrainingConfig`"
        raise UserError(
            f"The model {config.model} is {'solved by `fit`' if solved else 'trained'}, so "
            f"{type(config).__name__} {how}; change one of them."
        )
    return found
