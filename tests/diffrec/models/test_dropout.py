import pytest
import torch

from diffrec.models.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_dropped_and_the_mean_are_as_stated(p):
    torch.manual_seed(0)
    n = 400_001  # odd: the last word of random bits is used in part
    y = Dropout(p)(torch.ones(n))
    dropped = float((y == 0).double().mean())
    assert abs(dropped - p) < 4 * (p * (1 - p) / n) ** 0.5 + 1 / 65536
    retained = y[y > 0]
    assert float(retained.min()) == float(retained.max()) == pytest.approx(1 / (1 - p), rel=1e-3)


def test_entries_are_dropped_independently():
    torch.manual_seed(0)
    retained = (Dropout(0.5)(torch.ones(100_000, 4)) > 0).double()
    assert float((torch.corrcoef(retained.T) - torch.eye(4)).abs().max()) < 0.02


def test_nothing_is_dropped_in_evaluation_or_at_zero():
    x = torch.rand(3, 5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_gradient_passes_through_what_is_kept():
    x = torch.ones(1000, requires_grad=True)
    y = Dropout(0.25)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
