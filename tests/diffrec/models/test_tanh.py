"""The tanh of the reverse chain is tanh."""

import pytest
import torch

from diffrec.models.denoiser import tanh


@pytest.mark.parametrize(
    ("kind", "atol"), [(torch.float32, 3e-7), (torch.float64, 1e-15), (torch.bfloat16, 1e-6)]
)
def test_it_is_tanh_everywhere(kind, atol):
    x = torch.cat([torch.linspace(-30, 30, 100_001), torch.tensor([-torch.inf, torch.inf])])
    x = x.to(kind)
    with torch.no_grad():
        result = tanh(x.clone())
    assert result.dtype == (torch.float64 if kind is torch.float64 else torch.float32)
    torch.testing.assert_close(result.double(), torch.tanh(x.double()), rtol=0, atol=atol)


def test_a_gradient_goes_through_it_and_its_input_stays():
    x = torch.linspace(-3, 3, 7, requires_grad=True)
    copy = x.detach().clone()
    tanh(x).sum().backward()
    assert torch.equal(x.detach(), copy)
    torch.testing.assert_close(x.grad, 1 - torch.tanh(copy).square())
