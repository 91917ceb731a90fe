"""scikit-learn's own checks, for every public estimator in several settings."""

import pytest
from instances import tiny_instances, tiny_variational
from sklearn.utils.estimator_checks import parametrize_with_checks


# A check of weights leaves rows out of one fit and predicts them, and to an estimator that takes
# numbers as categories these are new ones.
@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.UnseenCategoryWarning")
@parametrize_with_checks(tiny_instances())
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# A table of noise fills fewer variational latents than there are by default.
@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.CollapsedLatentsWarning")
@parametrize_with_checks(tiny_variational())
def test_scikit_learn_checks_of_variational_latents(estimator, check):
    if check.func.__name__ == "check_sample_weight_equivalence_on_dense_data":
        pytest.skip("noise is drawn for each row: two equal rows are not one of weight 2")
    check(estimator)
