"""The one file that touches private scikit-learn.

Everything here may move between scikit-learn's releases; nothing else in the package imports a
name with a leading underscore from scikit-learn.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_sample_weight

from ._version import DOCUMENTATION

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock  # since 1.8
except ImportError:
    from sklearn.utils._estimator_html_repr import _VisualBlock

__all__ = [
    "BaseComposition",
    "DocumentationLink",
    "HasMethods",
    "Interval",
    "StrOptions",
    "VisualBlock",
    "check_sample_weight",
    "fit_context",
    "safe_indexing",
    "stack_level_of_caller",
    "tables_in_model_selection",
    "validate_params",
]

BaseComposition = _BaseComposition
VisualBlock = _VisualBlock
fit_context = _fit_context
safe_indexing = _safe_indexing
check_sample_weight = _check_sample_weight


class DocumentationLink:
    """Link the mark "?" in an estimator's HTML diagram to its page of the documentation.

    It stands before scikit-learn's base class, which would link to a page of its own.
    """

    _doc_link_module = "sknestedae"  # a subclass in another package has no page here
    _doc_link_template = f"{DOCUMENTATION}generated/{{estimator_module}}.{{estimator_name}}.html"


def tables_in_model_selection() -> Iterator[Any]:
    """Yield the X of each function of ``sklearn.model_selection`` that is running above us.

    Those functions cut X into folds before an estimator sees it, and an estimator cannot tell a
    fold of a list from a list. Their frames are the one place where the whole X can be seen.
    It is asked for in fit and score alone, where an estimator is given data.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("sklearn.model_selection"):
            X = frame.f_locals.get("X")
            if X is not None:
                yield X
        frame = frame.f_back


def stack_level_of_caller() -> int:
    """Return the ``stacklevel`` of a warning that is to point at the user's own line.

    Between the two there can be wrappers of scikit-learn, more or fewer of them.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None:
        package = frame.f_globals.get("__name__", "").split(".")[0]
        if package not in ("sknestedae", "sklearn"):
            return level
        frame, level = frame.f_back, level + 1
    return level
