"""scikit-learn's own checks, for every public estimator in several settings."""

import pytest
from instances import tiny_instances
from sklearn.utils.estimator_checks import parametrize_with_checks


# A check of weights leaves rows out of one fit and predicts them, and to an estimator that takes
# numbers as categories these are new ones.
@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.UnseenCategoryWarning")
# A table of noise fills fewer variational latents than there are by default.
@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.CollapsedLatentsWarning")
@parametrize_with_checks(tiny_instances())
def test_scikit_learn_checks(estimator, check):
    check(estimator)
