"""Names and values of torch and skorch: the error says what stands in their place."""

import inspect

import pytest
import torch
from torch import nn

from sknestedae import (
    DualAutoencoder,
    DualAutoencoderClassifier,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae._estimators._torch_words import _INSTEAD
from sknestedae._training._allowed_callbacks import TORCH_PAGE

ESTIMATORS = [
    DualAutoencoder,
    DualAutoencoderClassifier,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
]
X = [[0.0], [1.0], [3.0]]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_parameter_of_torch_is_refused_with_what_to_use(estimator):
    with pytest.raises(
        TypeError,
        match=rf"{estimator.__name__} has no parameter 'optimizer': the "
        r"optimizer is Adam; .* 'For torch users'",
    ):
        estimator(optimizer=torch.optim.SGD)
    with pytest.raises(TypeError, match=r"no parameter 'module__width': use blocks"):
        estimator(module__width=3)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("gradient_clip_val", "GradientNormClipping of skorch"),
        ("precision", "float32 where all of X are"),
        ("momentum", "a callback can put another optimizer in its place"),
        ("logger", "with a logger of skorch"),
        ("accelerator", "use device"),
        ("warmup", "takes the schedules of torch"),
    ],
)
def test_a_word_of_lightning_is_refused_with_what_to_use(name, instead):
    with pytest.raises(TypeError, match=rf"no parameter '{name}': .*{instead}"):
        SupervisedAutoencoder(**{name: 1})


def test_set_params_refuses_it_too():
    message = "SupervisedAutoencoder has no parameter 'max_epochs': use max_iter"
    with pytest.raises(ValueError, match=message):
        SupervisedAutoencoder().set_params(max_epochs=3)


def test_another_name_is_refused_by_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'widths'"):
        SupervisedAutoencoder(widths=3)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_parameter_of_an_estimator_is_refused(estimator):
    parameters = inspect.signature(estimator).parameters
    assert len(parameters) > 5  # those of the wrapped function
    defaults = {name: own.default for name, own in parameters.items()}
    assert not set(_INSTEAD) & set(defaults)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reconstruction_loss", nn.MSELoss()),
        ("prediction_loss", nn.functional.mse_loss),
        ("activation", nn.ReLU),
        ("initialization", nn.init.orthogonal_),
        ("learning_rate", torch.optim.lr_scheduler.StepLR),
        ("blocks", nn.Linear(1, 2)),
        ("blocks", [("mine", nn.Linear(1, 2), [0])]),
        ("callbacks", [torch.optim.lr_scheduler.StepLR]),
        ("device", torch.device("cpu")),
    ],
)
def test_a_value_of_torch_is_refused_and_the_error_names_the_page(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter .*{TORCH_PAGE}$"):
        SupervisedAutoencoder(**{name: value}).fit(X)


def test_an_error_about_any_other_value_does_not():
    with pytest.raises(ValueError, match=r"'activation' parameter .*Got 'ReLU' instead\.$"):
        SupervisedAutoencoder(activation="ReLU").fit(X)
