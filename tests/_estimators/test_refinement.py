"""End-to-end training: whose losses reach whom, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.nested import AB, cells, clf, crystals, sae, same_rows, two_scales
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Freezer

from sknestedae import NestedAutoencoder
from sknestedae._estimators._refinement import ChainIterator, ChainNet, ChainRows
from sknestedae._layers._dense import RandomStream
from sknestedae._networks._batch import Batch
from sknestedae._networks._chain import LatentColumns
from sknestedae._tables._encoder import TableEncoder
from sknestedae.blocks import DenseBlock
from sknestedae.exceptions import DivergenceError, DivergenceWarning


def weights(estimator):
    return {name: p.detach().clone() for name, p in estimator.net_.module_.named_parameters()}


def moved(before, after, part):
    return any(not torch.equal(before[name], after[name]) for name in before if part in name)


def test_the_losses_of_a_later_stage_reach_the_encoders_before():
    """With every loss of the first stage off, its encoder moves all the same."""
    X, y = same_rows()
    settings = {"alpha": 0.0, "reconstruction_weight": 0.0, "prediction_weight": 0.0}
    chain = NestedAutoencoder(
        [("a", sae(**settings), ["u0", "v0"]), ("b", sae(), ["u1", "v1"])], random_state=0
    )
    X = pd.concat(X, axis=1)
    y = np.column_stack(y)
    sequential, refined = (clone(chain).set_params(refine_iter=n).fit(X, y) for n in (0, 2))
    before, after = weights(sequential["a"]), weights(refined["a"])
    assert moved(before, after, "encoder")
    assert not moved(before, after, "decoder")
    assert not moved(before, after, "predictor")
    assert_array_equal(refined.predict(X)[:, 1] != sequential.predict(X)[:, 1], True)


def test_history_keeps_the_terms_of_every_stage():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae(), refine_iter=3).fit(X_list, y_list)
    history = chain.refine_history_
    assert len(history) == 3
    for name in ("scale0", "scale1"):
        for term in ("loss", "reconstruction", "prediction"):
            assert history[f"{name}__train_{term}"].notna().all()
    total = history["scale0__train_loss"] + history["scale1__train_loss"]
    assert_allclose(history["train_loss"], total, rtol=1e-12)
    assert not hasattr(
        clone(chain).set_params(refine_iter=0).fit(X_list, y_list), "refine_history_"
    )


def test_the_first_epoch_begins_where_the_sequential_fit_ended():
    """The joint loss of the fitted chain is the sum of the stages' own losses.

    A tiny learning rate leaves everything in its place, so that an epoch measures it.
    """
    X_list, y_list = two_scales()
    still = {"learning_rate_init": 1e-12, "max_iter": 2, "batch_size": 20}
    chain = NestedAutoencoder(estimator=sae(**still), refine_iter=1).fit(X_list, y_list)
    last = chain.history_.groupby("stage").last()
    for name in ("scale0", "scale1"):
        for term in ("reconstruction", "prediction"):
            ours = chain.refine_history_.loc[1, f"{name}__train_{term}"]
            assert ours == pytest.approx(last.loc[name, f"train_{term}"], rel=1e-6)


def test_the_steps_are_those_of_the_sum_of_losses_with_held_targets():
    """Written out: what a stage is to reconstruct is that of the step, and has no gradient.

    Else a stage could make the next one's task easier by giving it less to reconstruct.
    """
    X, _ = same_rows()
    rate, settings = 0.01, {"standardize": False, "alpha": 0.0, "batch_size": len(X[0])}
    settings["learning_rate_init"] = rate
    chain = NestedAutoencoder(estimator=sae(**settings), refine_iter=2, random_state=0).fit(X)
    start = clone(chain).set_params(refine_iter=0).fit(X)
    modules = [start[name].net_.module_ for name in ("scale0", "scale1")]
    first, second = (torch.tensor(table.to_numpy()) for table in X)
    optimizer = torch.optim.Adam([p for module in modules for p in module.parameters()], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)
    for _ in range(2):
        optimizer.zero_grad()
        latents = modules[0].encode(Batch({"table": first}))
        given = torch.cat([second, latents], dim=1)
        loss = torch.zeros(())
        for module, values in zip(modules, (first, given), strict=True):
            decoded = module.decode(module.encode(Batch({"table": values})))["table"]
            loss = loss + ((decoded - values.detach()) ** 2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    for name, module in zip(("scale0", "scale1"), modules, strict=True):
        for key, value in weights(chain[name]).items():
            # Adam divides a gradient by its own size and 1e-8, which what rounding leaves of a
            # gradient, 1e-14 at most, moves by 1e-6
            expected = module.get_parameter(key).detach()
            torch.testing.assert_close(value, expected, rtol=0, atol=rate * 1e-6)


def test_refinement_lowers_the_sum_of_losses():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae(max_iter=20), refine_iter=30, random_state=0)
    losses = chain.fit(X_list, y_list).refine_history_["train_loss"]
    assert losses.iloc[-1] < losses.iloc[0]


@pytest.mark.parametrize("n_scales", [1, 3])
def test_one_and_three_stages(n_scales):
    X, y = same_rows(n_scales)
    chain = NestedAutoencoder(estimator=sae(), refine_iter=2, random_state=0).fit(X, y)
    again = clone(chain).fit(X, y)
    assert all(np.isfinite(prediction).all() for prediction in chain.predict(X))
    assert_array_equal(chain.predict(X)[-1], again.predict(X)[-1])


def test_dropout_and_noise_act_in_refinement(monkeypatch):
    """Without noise nothing would speak against a variance of 1, which the divergence wants."""
    tables, targets = two_scales()
    stages = [
        ("crystal", sae(beta=0.01, dropout=0.1), ["radius", "mass"]),
        ("device", sae(), ["layer", "thickness"]),
    ]
    taken, own_take = [], RandomStream.take

    def take(self, like):
        taken.append(1)
        return own_take(self, like)

    monkeypatch.setattr(RandomStream, "take", take)
    NestedAutoencoder(stages, random_state=0).fit(tables, targets)
    n_before = len(taken)
    NestedAutoencoder(stages, refine_iter=2, random_state=0).fit(tables, targets)
    assert len(taken) > 2 * n_before > 0


def test_a_frozen_stage_does_not_move():
    (first, gap), (second, pce) = crystals(), cells()
    fitted = sae().fit(first, gap)
    before = weights(fitted)
    stages = [("a", FrozenEstimator(fitted), ["radius", "mass"]), AB[1]]
    chain = NestedAutoencoder(stages, refine_iter=2, random_state=0)
    chain.fit([first, second], [gap, pce])
    after = weights(fitted)
    assert not moved(before, after, "")
    assert all(p.requires_grad for p in fitted.net_.module_.parameters())
    assert not [column for column in chain.refine_history_ if column == "a__l2"]


def test_weights_of_classes_count_in_refinement():
    """As weights of the rows of that stage alone."""
    (first, second), (gap, pce) = two_scales()
    labels = pd.Series(np.where(pce > pce.mean(), "good", "bad"), index=pce.index)
    weights = [np.ones(len(gap)), np.where(labels == "good", 4.0, 1.0)]

    def stages(**settings):
        return [("a", sae(), ["radius", "mass"]), ("b", clf(**settings), ["layer", "thickness"])]

    own, plain = (
        NestedAutoencoder(stages(**settings), refine_iter=2, random_state=0).fit(
            [first, second], [gap, labels], sample_weight
        )
        for settings, sample_weight in (({"class_weight": {"good": 4}}, None), ({}, weights))
    )
    # weights of one table scale those of the other by no power of two
    assert_allclose(own.refine_history_, plain.refine_history_, rtol=1e-9)
    p, expected = own.predict_proba([first, second])[1], plain.predict_proba([first, second])[1]
    assert_allclose(p, expected, rtol=1e-9)


@pytest.mark.parametrize("wrap", [FrozenEstimator, lambda stage: stage])
def test_what_a_callback_froze_stays_frozen(wrap):
    """In a stage that is refined, and after the refinement of one that is not."""
    (first, gap), (second, pce) = crystals(), cells()
    fitted = sae(callbacks=[Freezer("encoder.0.weight")]).fit(first, gap)
    chain = NestedAutoencoder([("a", wrap(fitted), ["radius", "mass"]), AB[1]], random_state=0)
    before = weights(clone(chain).fit([first, second], [gap, pce])["a"])
    chain = chain.set_params(refine_iter=2).fit([first, second], [gap, pce])
    after = weights(chain["a"])
    assert torch.equal(before["encoder.0.weight"], after["encoder.0.weight"])
    named = dict(chain["a"].net_.module_.named_parameters())
    assert [name for name in named if not named[name].requires_grad] == ["encoder.0.weight"]
    assert moved(before, after, "encoder.0.bias") == (wrap is not FrozenEstimator)


def test_rows_without_latents_keep_the_mean():
    X, y = same_rows()
    X[0].iloc[:10] = np.nan
    chain = NestedAutoencoder(estimator=sae(), refine_iter=2, random_state=0).fit(X, y)
    assert np.isfinite(chain.refine_history_.to_numpy()).all()
    # the columns of a stage that was not measured do not reach the next: its latents are missing
    other = [X[0].copy(), X[1]]
    other[0].iloc[:10] = np.nan
    assert_array_equal(chain.predict(other)[1], chain.predict(X)[1])


def test_latents_stand_in_a_block_of_numbers():
    X = pd.DataFrame({"kind": list("abab"), "size": np.arange(4.0), "z0": [1.0, 2, 3, 4]})
    X["z1"] = [0.0, 1.0, 0.0, np.nan]
    table = TableEncoder().fit(X)
    columns = LatentColumns.of(table, 2, torch.device("cpu"))
    assert columns.index.tolist() == [1, 2]
    rows = Batch.from_arrays(table.transform(X), None, None, torch.device("cpu"))
    new = torch.full((4, 2), 5.0, dtype=torch.float64)
    values = columns.put(rows, new).values["table"]
    assert_allclose(values[:, 1], (5 - X["z0"].mean()) / X["z0"].std(ddof=0))
    assert values[3, 2] == rows.values["table"][3, 2] == 0  # not measured: the mean
    assert_array_equal(values[:, [0, 3, 4]], rows.values["table"][:, [0, 3, 4]])


def test_stages_with_blocks_are_refined():
    """With a term a block, whole blocks missing in some rows, and bounds of a target."""
    X, y = same_rows(n_columns=3)
    X[1].iloc[::4, :2] = np.nan
    settings = {"blocks": [("own", DenseBlock(), [0, 1])], "block_dropout": 0.2}
    stages = [
        ("a", sae(**settings, target_bounds=(-99, None)), list(X[0])),
        ("b", sae(**settings), list(X[1])),
    ]
    chain = NestedAutoencoder(stages, refine_iter=3, random_state=0).fit(
        pd.concat(X, axis=1), np.column_stack(y)
    )
    history = chain.refine_history_
    for name in ("a", "b"):
        parts = [history[f"{name}__train_reconstruction__{block}"] for block in ("own", "table")]
        assert_allclose(history[f"{name}__train_reconstruction"], np.mean(parts, axis=0))
        expected = history[f"{name}__train_reconstruction"] + history[f"{name}__train_prediction"]
        assert_allclose(history[f"{name}__train_loss"], expected)
    again = clone(chain).fit(pd.concat(X, axis=1), np.column_stack(y))
    assert_array_equal(again.predict(pd.concat(X, axis=1)), chain.predict(pd.concat(X, axis=1)))


def test_batches_of_all_stages_side_by_side():
    def rows(n):
        return Batch({"table": torch.arange(float(n))[:, None]})

    dataset = ChainRows([[rows(4)], [rows(10), rows(10)]], [3, 5])
    batches = list(ChainIterator(dataset))
    assert len(batches) == 2
    assert sorted(v for b in batches for v in b[0][0].values["table"].ravel().tolist()) == [
        *range(4)
    ]
    for _, (first, second) in batches:
        assert torch.equal(first.values["table"], second.values["table"])
        assert len(first) == 5


def test_losses_of_batches_have_the_mean_of_that_of_all_rows(monkeypatch):
    """Else a stage of many batches would count less beside its penalties and other stages."""
    losses = {}
    train_step = ChainNet.train_step_single

    def spy(self, batch, **parameters):
        step = train_step(self, batch, **parameters)
        losses[size].append(step["loss"].item())
        return step

    monkeypatch.setattr(ChainNet, "train_step_single", spy)
    X, y = same_rows()
    X, y = pd.concat(X, axis=1), np.column_stack(y)  # 40 rows
    for size in (40, 10):  # weights hardly move, so that batches see the same ones
        losses[size] = []
        first, second = (sae(batch_size=size, learning_rate_init=1e-12) for _ in range(2))
        stages = [("a", first, ["u0", "v0"]), ("b", second, ["u1", "v1"])]
        NestedAutoencoder(stages, refine_iter=1, random_state=0).fit(X, y)
    assert (len(losses[40]), len(losses[10])) == (1, 4)
    assert np.mean(losses[10]) == pytest.approx(losses[40][0], rel=1e-9)


def test_what_can_not_be_refined():
    X, y = crystals()
    with pytest.raises(
        TypeError, match="all stages must be supervised autoencoders; stage 'a' is"
    ):
        NestedAutoencoder([("a", PCA(1), [0]), ("b", sae(), [1])], refine_iter=1).fit(X, y)
    blocks = NestedAutoencoder([("a", sae(), [0]), ("b", sae(categorical_features=[0]), [1])])
    assert blocks.set_params(refine_iter=1).fit(X.round(), y).refine_history_.shape[0] == 1
    wild = NestedAutoencoder(
        [("a", sae(), [0]), ("b", sae(learning_rate_init=1e200), [1])], refine_iter=4
    )
    frozen = FrozenEstimator(sae().fit(X[["radius"]], y))
    with pytest.raises((DivergenceError, DivergenceWarning)):
        wild.set_params(a=frozen).fit(X, y)
