"""Warnings and errors that the estimators raise."""

from sklearn.exceptions import NotFittedError

__all__ = [
    "ChannelOrderWarning",
    "CollapsedLatentsWarning",
    "ConstantBlockWarning",
    "DeviceWarning",
    "DivergenceError",
    "DivergenceWarning",
    "EqualScoresWarning",
    "FewRowsWarning",
    "MaterialKeyWarning",
    "NoTargetError",
    "OutsideDomainWarning",
    "RowLabelWarning",
    "SameRowsWarning",
    "StateFormatError",
    "TextColumnWarning",
    "ToleranceWarning",
    "UnitsWarning",
    "UnmeasuredScaleWarning",
    "UnseenCategoryWarning",
]


class DivergenceError(ValueError):
    """The loss was not finite in the first epoch, so that there is no epoch to keep."""


class DivergenceWarning(UserWarning):
    """The loss became NaN or infinite; training stopped and the best epoch was kept."""


class EqualScoresWarning(UserWarning):
    """All candidates of a search have the same scores: a Gaussian process predicts for each."""


class CollapsedLatentsWarning(UserWarning):
    """Some variational latents are the same for all rows: they have collapsed to their prior."""


class NoTargetError(NotFittedError):
    """A prediction was asked for, but the estimator was fitted without a target."""


class StateFormatError(ValueError):
    """A stored estimator has a format that this version does not read."""


class FewRowsWarning(UserWarning):
    """A stage has few rows of its own scale and many of later ones, or only one label."""


class MaterialKeyWarning(UserWarning):
    """A key of materials matches no row of an earlier scale, or rows that differ."""


class UnitsWarning(UserWarning):
    """A column has another range at a later scale, as if its unit were another one there."""


class ToleranceWarning(UserWarning):
    """A search found nothing, or not enough, within the tolerance that was asked for."""


class OutsideDomainWarning(UserWarning):
    """All candidates of a design are less typical than nearly all known rows."""


class UnmeasuredScaleWarning(UserWarning):
    """A table, or some rows of it, has no value of a scale; it enters as not measured."""


class UnseenCategoryWarning(UserWarning):
    """A categorical column has values that ``fit`` did not see; they enter as zeros."""


class RowLabelWarning(UserWarning):
    """Two tables have most row labels in common, but not all; rows are taken by position."""


class SameRowsWarning(UserWarning):
    """A list of arrays may be tables of the same rows, or of rows of their own."""


class ConstantBlockWarning(UserWarning):
    """A spectrum or an image is the same in all rows, so that nothing is learnt from it."""


class ChannelOrderWarning(UserWarning):
    """The shape of an image looks as if its channels came last, where they come first."""


class TextColumnWarning(UserWarning):
    """A column of text seems to hold numbers, dates or names of rows, not categories."""


class DeviceWarning(UserWarning):
    """The device asked for is not there; the CPU is used in its place."""
