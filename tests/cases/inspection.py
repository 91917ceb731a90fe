"""Small estimators whose latents and predictions are asked for their reasons."""

from torch import nn

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.blocks import Block

TINY = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
LINEAR = {**TINY, "activation": "identity", "decoder_hidden_layer_sizes": ()}


def two_stages(**parameters):
    sae = SupervisedAutoencoder(**{**TINY, **parameters})
    return NestedAutoencoder(
        [("inner", sae, ["energy", "radius"]), ("outer", sae, ["phase", "mass"])]
    )


class Doubling(Block):
    """Sends its values twice."""

    def make_encoder(self, layout):
        return nn.Linear(layout.n_values, 2 * layout.n_values), 2 * layout.n_values

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)
