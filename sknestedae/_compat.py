"""The one file that touches private scikit-learn.

Everything here may move between scikit-learn's releases; nothing else in the package imports a
name with a leading underscore from scikit-learn.
"""

from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "validate_params",
]

fit_context = _fit_context
check_sample_weight = _check_sample_weight
