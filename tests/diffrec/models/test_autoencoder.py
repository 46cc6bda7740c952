import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import parity
from diffrec.config import AutoencoderConfig
from diffrec.errors import UserError
from diffrec.models.autoencoder import ClusteredAutoencoder, multinomial_nll, split_units
from released import load_autoencoder


@pytest.mark.parametrize("name", parity.cases("autoencoder"))
def test_autoencoder_equals_the_released_one(name):
    case = parity.case(name)
    args, ids = case["args"], case["cluster_ids"]
    config = AutoencoderConfig(
        num_clusters=args["n_clusters"],
        clustering="kmeans" if args["n_clusters"] > 1 else None,
        latent_dim=args["in_dims"][0],
        decoder_per_cluster=bool(args["out_dims"]),
        activation=args["act_func"],
    )
    model = ClusteredAutoencoder(config, ids)
    load_autoencoder(model, case)
    model.eval()
    with torch.no_grad():
        encoded = model.encode(torch.from_numpy(case["x_0"]))
        decoded = model.decode(encoded.latent)
    order = model.columns
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(encoded.x_0[:, order].numpy(), case["x_0_cluster_order"], **close)
    np.testing.assert_allclose(encoded.latent.numpy(), case["z_mu"], **close)
    np.testing.assert_allclose(float(encoded.kl), case["kl"], **close)
    np.testing.assert_allclose(decoded[:, order].numpy(), case["decoded"], **close)
    nll = multinomial_nll(decoded, encoded.x_0)
    np.testing.assert_allclose(float(nll), case["multinomial_nll"], **close)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 200))
def test_shares_add_up_and_leave_no_cluster_without_a_unit(sizes, units):
    try:
        shares = split_units(units, sizes, "latent_dim")
    except UserError:
        assert units < len(sizes) + sum(sizes)
        return
    assert sum(shares) == units
    assert min(shares) >= 1


@pytest.mark.parametrize("per_cluster", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "leaky_relu"])
@pytest.mark.parametrize(
    "ids",
    [[0, 1, 1, 1, 2, 2], [0, 2, 2, 2, 2, 0], [2, 2, 2, 2, 2, 2]],
    ids=["one-item cluster", "empty cluster", "all in one"],
)
def test_any_clusters_give_a_score_per_item(ids, activation, per_cluster):
    # the released leaky_relu built a decoder without layers; one-item clusters crashed
    config = AutoencoderConfig(
        num_clusters=3,
        latent_dim=6,
        activation=activation,
        decoder_per_cluster=per_cluster,
        encoder_hidden_dims=(9,),
        decoder_hidden_dims=(7,),
    )
    model = ClusteredAutoencoder(config, np.array(ids))
    encoded = model.encode(torch.rand(4, 6))
    assert encoded.latent.shape == (4, 6)
    scores = model.decode(encoded.latent)
    assert scores.shape == (4, 6)
    scores.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_items_keep_their_own_order():
    config = AutoencoderConfig(num_clusters=2, latent_dim=4, decoder_per_cluster=True)
    model = ClusteredAutoencoder(config, np.array([1, 0, 1, 0]))
    with torch.no_grad():
        for decoder, value in zip(model.decoders, (10.0, 20.0), strict=True):
            decoder[0].weight.zero_()
            decoder[0].bias.fill_(value)
    assert model.decode(torch.zeros(1, 4)).tolist() == [[20.0, 10.0, 20.0, 10.0]]


def test_cluster_order_is_state():
    config = AutoencoderConfig(num_clusters=2, latent_dim=4)
    one = ClusteredAutoencoder(config, np.array([0, 0, 1, 1]))
    other = ClusteredAutoencoder(config, np.array([0, 1, 0, 1]))
    other.load_state_dict(one.state_dict())
    one.eval(), other.eval()
    x_0 = torch.rand(3, 4)
    torch.testing.assert_close(one.encode(x_0).latent, other.encode(x_0).latent)
