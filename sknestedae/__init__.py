"""Nested autoencoders for data at several scales, as scikit-learn estimators."""

from ._supervised import SupervisedAutoencoder, SupervisedAutoencoderClassifier

__version__ = "0.1.0"

__all__ = ["SupervisedAutoencoder", "SupervisedAutoencoderClassifier", "__version__"]
