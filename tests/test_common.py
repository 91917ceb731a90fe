"""scikit-learn's own checks, for every public estimator in several settings."""

from instances import tiny_instances
from sklearn.utils.estimator_checks import parametrize_with_checks


@parametrize_with_checks(tiny_instances())
def test_scikit_learn_checks(estimator, check):
    check(estimator)
