"""Distillation and a differentiable step, by hand on two numbers."""

from math import exp, log

import pytest
import torch
from torch import nn
from torch.func import functional_call

from benchmark.functional import divergence, step_ahead


def test_divergence_by_hand(logits):
    """KL((1/4, 3/4) || (1/2, 1/2)) = 1/4 log 1/2 + 3/4 log 3/2; the other way round 1/2 log 2 + 1/2 log 2/3."""
    a, b = logits(0.25, 0.75), logits(0.5, 0.5)
    assert divergence(a, b).item() == pytest.approx(0.25 * log(1 / 2) + 0.75 * log(3 / 2))
    assert divergence(b, a).item() == pytest.approx(0.5 * log(2) + 0.5 * log(2 / 3))
    assert divergence(a, a).item() == 0


def test_divergence_is_of_distributions(logits):
    """Adding a number to all logits changes nothing."""
    assert divergence(logits(0.25, 0.75) + 3, logits(0.5, 0.5) - 7).item() == pytest.approx(
        divergence(logits(0.25, 0.75), logits(0.5, 0.5)).item(), rel=1e-5
    )


def test_divergence_is_a_mean_over_the_batch_and_a_sum_over_classes():
    """torch's default reduction would divide by the classes too: a hundred times too small on CIFAR-100."""
    a, b = torch.randn(2, 5, 100).unbind()
    p, q = a.softmax(1), b.softmax(1)
    torch.testing.assert_close(divergence(a, b), (p * (p / q).log()).sum() / 5)


def test_gradient_of_the_divergence_by_hand(logits):
    """For the student's logits it is (student - teacher) / B, for the teacher's there is none."""
    teacher, student = logits(0.25, 0.75).repeat(2, 1).requires_grad_(), logits(0.5, 0.5).repeat(2, 1).requires_grad_()
    divergence(teacher, student).backward()
    assert teacher.grad is None
    torch.testing.assert_close(student.grad, torch.tensor([[0.125, -0.125]] * 2))


class Scalar(nn.Module):
    """x -> w x."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w * x


def test_a_step_ahead_by_hand():
    """Of (w x - v)^2 at w = 1, x = 2, v = 5, with the rate 0.1: w - 0.1 x 2 (w x - v) x = 1 + 0.1 x 2 x 3 x 2 = 2.2."""
    module, v = Scalar(1.0), torch.tensor(5.0, requires_grad=True)
    ahead = step_ahead(module, lambda w: (functional_call(module, w, torch.tensor(2.0)) - v).square(), 0.1)
    assert set(ahead) == {"w"}
    assert ahead["w"].item() == pytest.approx(2.2)


def test_gradients_flow_through_the_step_by_hand():
    """(w' x' - y)^2 at x' = 3, y = 6: 2 (6.6 - 6) 3 dw'/dv, and dw'/dv = 0.1 x 2 x = 0.4, so 1.44.

    A step whose gradient is cut off would give 0.
    """
    module, v = Scalar(1.0), torch.tensor(5.0, requires_grad=True)
    ahead = step_ahead(module, lambda w: (functional_call(module, w, torch.tensor(2.0)) - v).square(), 0.1)
    (functional_call(module, ahead, torch.tensor(3.0)) - 6).square().backward()
    assert v.grad.item() == pytest.approx(1.44)


def test_the_second_order_is_there():
    """The loss exp(w v) steps to w' = w - lr v exp(w v), and dw'/dv = -lr (1 + w v) exp(w v)."""
    module, v = Scalar(0.5), torch.tensor(2.0, requires_grad=True)
    ahead = step_ahead(module, lambda w: (w["w"] * v).exp(), 0.3)
    assert ahead["w"].item() == pytest.approx(0.5 - 0.3 * 2 * exp(1))
    ahead["w"].backward()
    assert v.grad.item() == pytest.approx(-0.3 * (1 + 0.5 * 2) * exp(1))


def test_the_module_stands_still_and_needs_no_gradient():
    """Also where its parameters are frozen, as in a phase that trains another part."""
    module, v = Scalar(1.0).requires_grad_(False), torch.tensor(5.0, requires_grad=True)
    ahead = step_ahead(module, lambda w: (w["w"] - v).square(), 0.1)
    ahead["w"].backward()
    assert module.w.item() == 1
    assert module.w.grad is None
    assert not module.w.requires_grad
    assert v.grad.item() == pytest.approx(0.2)


def test_as_many_steps_as_plain_gradient_descent_make_the_same_weights():
    module = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    x = torch.randn(4, 3)
    ahead = step_ahead(module, lambda w: functional_call(module, w, x).square().mean(), 0.2)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.2)
    module(x).square().mean().backward()
    optimiser.step()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(ahead[name], parameter.detach())
