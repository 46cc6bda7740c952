"""Reads the parity file's weights (released layout) into our modules."""

import torch

from diffrec.config import DenoiserConfig, DiffusionConfig
from diffrec.diffusion.process import GaussianProcess
from diffrec.models.autoencoder import ClusteredAutoencoder
from diffrec.models.denoiser import Denoiser


def released_diffusion(args) -> tuple[GaussianProcess, Denoiser]:
    process = GaussianProcess(
        DiffusionConfig(
            num_steps=args["steps"],
            noise_scale=args["noise_scale"],
            noise_min=args["noise_min"],
            noise_max=args["noise_max"],
            prediction_target={"x0": "x_0", "eps": "epsilon"}[args["mean_type"]],
        )
    )
    denoiser = Denoiser(
        args["n_items"],
        DenoiserConfig(
            hidden_dims=tuple(args["dims"]),
            timestep_embedding_dim=args["emb_size"],
            normalize_input=args["norm"],
        ),
    )
    return process, denoiser


def load_denoiser(denoiser: Denoiser, case) -> None:
    """The released first layer reads [x_t, embedding]; ours keeps the two blocks apart."""
    state = {
        k.removeprefix("state/"): torch.from_numpy(v) for k, v in case.items() if "state/" in k
    }
    first = state["in_layers.0.weight"]
    ours = {
        "timestep_layer.weight": state["emb_layer.weight"],
        "timestep_layer.bias": state["emb_layer.bias"],
        "input_layer.weight": first[:, : denoiser.dim],
        "timestep_to_hidden.weight": first[:, denoiser.dim :],
        "input_layer.bias": state["in_layers.0.bias"],
    }
    num_in = sum(k.startswith("in_layers") for k in state) // 2
    later = [f"in_layers.{i}" for i in range(1, num_in)]
    later += [f"out_layers.{i}" for i in range(num_in)]
    for i, name in enumerate(later):
        ours[f"layers.{i}.weight"] = state[f"{name}.weight"]
        ours[f"layers.{i}.bias"] = state[f"{name}.bias"]
    denoiser.load_state_dict(ours)


def load_autoencoder(model: ClusteredAutoencoder, case) -> None:
    """The released decoder speaks in cluster order; ours in the items' own."""
    clusters = case["args"]["n_clusters"]
    ours = {name: getattr(model, name) for name in ("cluster_ids", "columns", "restore")}
    for key, value in case.items():
        if not key.startswith("state/"):
            continue
        part, *rest = key.removeprefix("state/").split(".")
        tensor = torch.from_numpy(value)
        single = len(rest) == 2  # encoder.0.weight: no cluster in the name
        name = ".".join([f"{part}s.0", *rest] if single else [f"{part}s", *rest])
        if part == "decoder" and single and clusters > 1:
            tensor = tensor[model.restore]
        ours[name] = tensor
    model.load_state_dict(ours)
