"""State of a net as plain arrays, and its history as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNet
from skorch.history import History
from torch import Tensor, nn

from .._layers._device import to_array

# Entries of skorch's history that say nothing to a reader.
_OF_SKORCH = ("_loss_best", "_batch_count")


def history_to_frame(history: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a history as a table, one row for each epoch, without skorch's internal entries."""
    rows = [
        {
            key: value
            for key, value in row.items()
            if np.isscalar(value) and key != "epoch" and not key.endswith(_OF_SKORCH)
        }
        for row in history
    ]
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="epoch"))


def history_from_frame(frame: pd.DataFrame) -> History:
    """Make skorch's history from a table of epochs."""
    # by whole columns: a Series for each row would take longer than an epoch of a small table
    rows = zip(frame.index.tolist(), frame.to_dict("records"), strict=True)
    return History(
        {"batches": [], "epoch": epoch, **{k: v for k, v in row.items() if not pd.isna(v)}}
        for epoch, row in rows
    )


def get_state(net: NeuralNet) -> dict[str, dict[str, np.ndarray]]:
    """Return a net's parameters, its optimizer's moments, and which are frozen, by name."""
    named = list(net.module_.named_parameters())
    moments = {}
    for tensor, own in _parameters_by_tensor(net, named):
        sizes = [parameter.numel() for _, parameter in own]
        for entry, value in net.optimizer_.state[tensor].items():
            is_step = entry == "step"  # one number for all parameters
            parts = [value] * len(own) if is_step else value.flatten().split(sizes)
            for (name, parameter), part in zip(own, parts, strict=True):
                moments[f"{entry}/{name}"] = to_array(part if is_step else part.view_as(parameter))
    return {
        "module": {name: to_array(value) for name, value in net.module_.state_dict().items()},
        "optimizer": moments,
        "trained": {name: np.array(parameter.requires_grad) for name, parameter in named},
    }


def _parameters_by_tensor(
    net: NeuralNet, named: list[tuple[str, nn.Parameter]]
) -> list[tuple[Tensor, list[tuple[str, nn.Parameter]]]]:
    """Return each tensor that the optimizer sees, with the parameters that are its parts."""
    if net.has_one_tensor:
        names = {id(parameter): name for name, parameter in named}
        own = [(names[id(parameter)], parameter) for parameter in net.flat_parameters.parameters]
        return [(net._tensors[0], own)]
    return [(parameter, [(name, parameter)]) for name, parameter in named]


def set_state(net: NeuralNet, state: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Set the parameters, the moments and the frozen layers of an initialized net.

    Parameters
    ----------
    net : AutoencoderNet
    state : mapping
        As ``get_state`` gives it. Without "trained" nothing is frozen or freed.
    """
    net.module_.load_state_dict(
        {name: torch.from_numpy(np.array(value)) for name, value in state["module"].items()}
    )
    trained = state.get("trained", {})
    changed = [
        parameter
        for name, parameter in net.module_.named_parameters()
        if parameter.requires_grad != bool(trained.get(name, parameter.requires_grad))
    ]
    if changed:
        for parameter in changed:
            parameter.requires_grad_(not parameter.requires_grad)
        net.initialize_optimizer()  # which sees frozen parameters one by one
    _set_moments(net, state["optimizer"])


def _set_moments(net: NeuralNet, moments: Mapping[str, np.ndarray]) -> None:
    """Set the optimizer's moments by the names of the parameters, such as "exp_avg/encoder.bias".

    The optimizer may see all parameters as one tensor, whose moments are those of its parts side
    by side; or each of them, where the other net saw one.
    """
    entries: dict[str, dict[str, Tensor]] = {}  # by parameter, then by entry
    for key, value in moments.items():
        entry, name = key.split("/", 1)
        entries.setdefault(name, {})[entry] = torch.from_numpy(np.array(value, order="C"))
    states: dict[int, dict[str, Tensor]] = {}
    named = list(net.module_.named_parameters())
    for position, (tensor, own) in enumerate(_parameters_by_tensor(net, named)):
        known = [entries[name] for name, _ in own if name in entries]
        for entry, first in known[0].items() if known else ():
            moment = first
            if entry != "step":  # one number for all parameters
                none = {entry: first.new_zeros(())}  # for a parameter that was frozen
                parts = [
                    entries.get(name, none)[entry].expand_as(parameter).flatten()
                    for name, parameter in own
                ]
                moment = torch.cat(parts).view(tensor.shape)
            states.setdefault(position, {})[entry] = moment
    # through load_state_dict, which brings the moments to the device and dtype of the parameters
    groups = net.optimizer_.state_dict()["param_groups"]
    net.optimizer_.load_state_dict({"state": states, "param_groups": groups})
