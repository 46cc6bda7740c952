"""Builds the model of a configuration, with its seed's initial weights, and its optimiser."""

import torch

from diffrec import user_code
from diffrec.config.base import ModelConfig
from diffrec.config.families import training_of
from diffrec.data.interactions import TuningSplit
from diffrec.errors import UserError
from diffrec.models.base import Recommender
from diffrec.models.registry import recommender_class
from diffrec.runtime.seeding import derive_seed
from diffrec.training.adamw import AdamW


def build_model(config: ModelConfig, split: TuningSplit) -> Recommender:
    """Return the recommender of `config` with its seed's initial weights, on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "init"))
        model = _build(config, split)
    for name, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise UserError(
                f"The state of {config.variant} must be tensors, which a checkpoint can hold, but "
                f"{name!r} is a {type(value).__name__}; make it a buffer or a field of the "
                "configuration."
            )
    return model


def build_optimizer(config: ModelConfig, model: Recommender) -> AdamW:
    """Return AdamW with the parameter groups of a model that is trained by gradient."""
    training = training_of(config)
    assert training is not None
    return AdamW(model.parameter_groups(training))


def _build(config: ModelConfig, split: TuningSplit) -> Recommender:
    """Build the model; a fault of code from outside is one sentence, and is not tried again."""
    cls = recommender_class(config)
    try:
        return cls.build(config, split)
    except (MemoryError, OSError, UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if config.model.startswith("diffrec."):
            raise
        raise UserError(
            f"{config.variant} cannot be built ({user_code.reason(error)}); correct its model."
        ) from error
