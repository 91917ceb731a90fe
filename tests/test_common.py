"""scikit-learn's own checks: all for each public estimator, and some for each of its settings."""

import pytest
from instances import OF_SETTINGS, tiny_instances, tiny_settings, tiny_variational
from sklearn.utils.estimator_checks import estimator_checks_generator


def name_of(check):
    """Name a check with its keywords, such as that of a table mapped into memory."""
    return " ".join([check.func.__name__, *(f"{k}={v}" for k, v in check.keywords.items())])


def with_checks(estimators, names=None):
    """Parametrise a test with scikit-learn's checks, as its own function does.

    That one names a test by all parameters of the estimator, which takes longer than the checks
    of small ones.

    Parameters
    ----------
    estimators : dict of estimators, by a name for the test
    names : set of str or None
        Of the checks to run, each with its first data only; None runs all.
    """
    pairs = [
        pytest.param(own, check, id=f"{name}: {name_of(check)}")
        for name, estimator in estimators.items()
        for own, check in estimator_checks_generator(estimator)
        if names is None or (check.func.__name__ in names and not check.keywords)
    ]
    return pytest.mark.parametrize(("estimator", "check"), pairs)


@with_checks(tiny_instances())
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# A check of weights leaves rows out of one fit and predicts them, and to an estimator that takes
# numbers as categories these are new ones.
@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.UnseenCategoryWarning")
@with_checks(tiny_settings(), OF_SETTINGS)
def test_scikit_learn_checks_of_settings(estimator, check):
    check(estimator)


# A table of noise fills fewer variational latents than there are by default.
@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.CollapsedLatentsWarning")
@with_checks(tiny_variational(), OF_SETTINGS)
def test_scikit_learn_checks_of_variational_latents(estimator, check):
    if check.func.__name__ == "check_sample_weight_equivalence_on_dense_data":
        pytest.skip("noise is drawn for each row: two equal rows are not one of weight 2")
    check(estimator)


def test_each_check_of_settings_is_one():
    """A check that has another name in a newer version would be left out silently."""
    found = {
        check.func.__name__
        for estimator in tiny_instances().values()
        for _, check in estimator_checks_generator(estimator)
    }
    assert found >= OF_SETTINGS
