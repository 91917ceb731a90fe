"""From a pipeline, a search or a frozen estimator to the autoencoder or chain inside it."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from .._tables._scales import is_scale_list
from ._base import BaseSupervisedAutoencoder


def innermost(estimator: Any, *, steps: bool = True) -> Any:
    """Return the best estimator of a search, or the last one of a pipeline.

    Searches and pipelines may be nested in each other.

    Parameters
    ----------
    estimator : estimator
    steps : bool, default=True
        Whether a pipeline may have steps before its last one. If not, such a pipeline is given
        as it is: its last estimator does not see the table that the pipeline sees.

    Returns
    -------
    estimator
        The same object, if it is neither a fitted search nor a pipeline.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline) and (steps or len(estimator) == 1):
            estimator = estimator[-1]
        else:
            return estimator


def unfrozen(estimator: Any) -> Any:
    """Return the estimator in a frozen one; any other as it is."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def autoencoder_of(estimator: Any, caller: str, stage: str = "") -> BaseSupervisedAutoencoder:
    """Return the supervised autoencoder in an estimator, such as a search or a frozen one.

    Parameters
    ----------
    estimator : estimator
    caller : str
        The function that the message names.
    stage : str
        Name of the stage that it is; "" for none.

    Raises
    ------
    TypeError
        If it is another estimator; the message names the caller and the stage.
    """
    found = unfrozen(innermost(unfrozen(estimator), steps=False))
    if not isinstance(found, BaseSupervisedAutoencoder):
        where = f", but stage {stage!r} is" if stage else ", got"
        raise TypeError(
            f"{caller} needs a supervised autoencoder or a chain of them{where} a "
            f"{type(found).__name__}. For a pipeline, pass the last step, and the table that it "
            "sees."
        )
    return found


def names_of_latents(estimator: Any, n_latents: int) -> list[str]:
    """Return the names of an estimator's outputs, or numbered names."""
    try:
        names = list(estimator.get_feature_names_out())
    except (AttributeError, NotImplementedError, ValueError):
        names = []
    return names if len(names) == n_latents else [f"latent{i}" for i in range(n_latents)]


def up_to_stage(estimator: Any, stage: str | int) -> Pipeline:
    """Return a fitted chain up to one of its stages, behind the steps that stand before it.

    Parameters
    ----------
    estimator : estimator
        Fitted NestedAutoencoder, or a fitted pipeline or search that ends in one.
    stage : str or int
        Name or position.

    Returns
    -------
    Pipeline
        Fitted; its ``transform`` gives the latents of that stage alone.
    """
    part = innermost(estimator)[: stage_position(estimator, stage) + 1]
    return make_pipeline(*steps_before(estimator), part.set_params(latents="last"))


def steps_before(estimator: Any) -> list[Any]:
    """Return the steps that a table goes through before it comes to the innermost estimator.

    Parameters
    ----------
    estimator : estimator
        Fitted; a pipeline or a search, in any order within each other, or neither.

    Returns
    -------
    list of transformers
        In their order; empty without a pipeline.
    """
    steps: list[Any] = []
    while estimator is not innermost(estimator):
        if isinstance(estimator, Pipeline):
            steps += [step for _, step in estimator.steps[:-1]]
            estimator = estimator[-1]
        else:
            estimator = estimator.best_estimator_
    return steps


def stage_position(estimator: Any, stage: str | int) -> int:
    """Return the position of a stage in a chain.

    Parameters
    ----------
    estimator : estimator
        Fitted NestedAutoencoder, or a fitted pipeline or search that ends in one.
    stage : str or int
        Name, or position; a negative one counts from the last stage.

    Returns
    -------
    int
        From 0.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If it has no such stage, or no stages.
    """
    nested = innermost(estimator)
    check_is_fitted(nested)
    if not hasattr(nested, "stages_"):
        raise ValueError(
            f"The 'stage' parameter names the stage {stage!r}, but a {type(nested).__name__} has "
            "no stages."
        )
    names = [name for name, _, _ in nested.stages_]
    if stage in names:
        return names.index(stage)
    is_index = isinstance(stage, Integral) and not isinstance(stage, bool)
    if is_index and -len(names) <= int(stage) < len(names):
        return int(stage) % len(names)
    raise ValueError(
        f"The 'stage' parameter names the stage {stage!r}; the stages are {names}, counted from 0."
    )


def check_one_table(X: Any, caller: str, remedy: str) -> None:
    """Refuse a list of tables, one a scale.

    Parameters
    ----------
    X : array-like, DataFrame or list of them
    caller : str
        The function that the message names.
    remedy : str
        The input to pass instead, as a sentence.

    Raises
    ------
    TypeError
    """
    if is_scale_list(X):
        raise TypeError(
            f"The 'X' parameter of {caller} must be one table, got {len(X)} tables. {remedy}"
        )
