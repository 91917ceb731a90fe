"""Mean and standard deviation as torch modules: the same values, and their gradients."""

import numpy as np
import torch

from sknestedae._gaussian_process._differentiable import ProcessMean, ProcessMeans, ProcessStd
from sknestedae._gaussian_process._process import GaussianProcess, GaussianProcesses

WIDTHS = (2, 1)


def table(n=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, 5 + X[:, 0] + np.sin(2 * X[:, 1]) + 0.3 * rng.normal(size=n)


def test_the_mean_is_the_same():
    X, y = table()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    at = np.vstack([X, table(10, seed=9)[0]])
    got = ProcessMean(process)(torch.tensor(at))
    np.testing.assert_allclose(got.numpy(), process.mean(at), rtol=1e-10)


def test_single_precision_comes_out_in_double():
    X, y = table()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    at = X.astype(np.float32)
    got = ProcessMean(process)(torch.tensor(at))
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got.numpy(), process.mean(at), rtol=1e-10)


def test_gradients_agree_with_differences():
    X, y = table()
    module = ProcessMean(GaussianProcess.fit(X, y, widths=WIDTHS))
    at = torch.tensor(table(6, seed=9)[0], requires_grad=True)
    assert torch.autograd.gradcheck(module, at)


def test_there_is_a_gradient_at_a_training_row():
    """The square root of a distance has none at zero, but the covariance has."""
    X = np.array([[0.0, 0, 0], [1, 2, 3], [-1, -2, -3]])
    process = GaussianProcess.fit(X, np.array([0.0, 1.0, 3.0]), widths=WIDTHS)
    at = torch.tensor(X, requires_grad=True)
    module = ProcessMean(process)
    (gradient,) = torch.autograd.grad(module(at).sum(), at)
    # the third derivative jumps there: differences are good to their step
    steps = 1e-5 * np.eye(3)
    differences = [(process.mean(X + s) - process.mean(X - s)) / 2e-5 for s in steps]
    np.testing.assert_allclose(gradient.numpy(), np.column_stack(differences), atol=1e-4)
    assert np.isfinite(gradient.numpy()).all()


def test_it_moves_and_is_copied_with_its_buffers():
    X, y = table()
    first = ProcessMean(GaussianProcess.fit(X, y, widths=WIDTHS))
    names = {
        "inputs",
        "inverse_lengths",
        "coefficients",
        "centre",
        "linear",
        "of_bumps",
        "centres",
    }
    assert set(first.state_dict()) == names
    assert not list(first.parameters())


def test_several_means():
    X, y = table()
    Y = np.column_stack([y, 2 - 3 * X[:, 2] ** 2])
    Y[:5, 0] = np.nan
    processes = GaussianProcesses.fit(X, Y, widths=WIDTHS)
    got = ProcessMeans(processes)(torch.tensor(X))
    assert got.shape == (20, 2)
    np.testing.assert_allclose(got.numpy(), processes.mean(X), rtol=1e-10)


def test_the_standard_deviation_is_that_of_the_function():
    """On the training rows too, where most of the prior is taken away."""
    X, y = table()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    at = np.vstack([X, table(10, seed=9)[0], 30 * X[:2]])
    got = ProcessStd(process)(torch.tensor(at))
    np.testing.assert_allclose(got.numpy(), process.std(at, with_noise=False), rtol=1e-7)


def test_gradients_of_the_standard_deviation_agree_with_differences():
    X, y = table()
    module = ProcessStd(GaussianProcess.fit(X, y, widths=WIDTHS))
    at = torch.tensor(table(6, seed=9)[0], requires_grad=True)
    assert torch.autograd.gradcheck(module, at)


def test_where_all_is_known_the_standard_deviation_has_a_finite_gradient():
    X = np.array([[0.0, 0, 0], [1, 2, 3], [-1, -2, -3]])
    sure = np.full(3, 1e18)
    process = GaussianProcess.fit(X, np.array([0.0, 1.0, 3.0]), sure, widths=WIDTHS)
    at = torch.tensor(X, requires_grad=True)
    std = ProcessStd(process)(at)
    (gradient,) = torch.autograd.grad(std.sum(), at)
    assert (std.detach().numpy() < 1e-3 * process.scale).all()
    assert np.isfinite(gradient.numpy()).all()
