"""SupervisedAutoencoder and what both have: results, shapes, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.supervised import TINY, mixed_table, regression
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._testing import assert_docstring_consistency
from skorch.callbacks import Callback

from sknestedae import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._networks._batch import Batch
from sknestedae._training._defaults import alpha_of_classes
from sknestedae.exceptions import NoTargetError

FULL_BATCH = {**TINY, "batch_size": 10_000, "max_iter": 30}
IGNORE_CLIPPED = pytest.mark.filterwarnings("ignore:batch_size=10000 is larger")


# -- what is computed


def test_linear_autoencoder_spans_pca_subspace():
    """Without hidden layers and target, the reconstruction is PCA's (Baldi and Hornik 1989)."""
    X, _ = regression(100, 5, effective_rank=3)
    X = StandardScaler().fit_transform(X)
    sae = SupervisedAutoencoder(
        2,
        hidden_layer_sizes=(),
        alpha=0,
        batch_size=100,
        max_iter=1500,
        learning_rate_init=0.02,
        random_state=0,
    ).fit(X)
    pca = PCA(2).fit(X)
    ours = sae.inverse_transform(sae.transform(X))
    best = pca.inverse_transform(pca.transform(X))
    error, least = ((X - ours) ** 2).sum(), ((X - best) ** 2).sum()
    assert least * (1 - 1e-12) <= error <= least * 1.001


def test_reconstruction_score_is_explained_variance():
    X, _ = regression(100, 5)
    sae = SupervisedAutoencoder(**TINY).fit(X)
    scaler = StandardScaler().fit(X)
    for rows in (X, X[X[:, 0] > 0.5]):  # the variance is that around the mean of the rows scored
        Z = scaler.transform(rows)
        reconstructed = scaler.transform(sae.inverse_transform(sae.transform(rows)))
        expected = 1 - ((Z - reconstructed) ** 2).sum() / ((Z - Z.mean(axis=0)) ** 2).sum()
        assert sae.score(rows) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_weights_of_a_reconstruction_score_are_repeated_rows(cls):
    """Of numbers and categories with missing values: errors and means both count the weights."""
    X, y = mixed_table()
    weight = np.random.default_rng(1).integers(0, 4, len(X))
    model = cls(**TINY).fit(X, y > y.median())
    score = model.score(X, sample_weight=weight)
    rows = np.repeat(np.arange(len(X)), weight)
    assert score == pytest.approx(model.score(X.iloc[rows]), rel=1e-12)
    assert score != pytest.approx(model.score(X), rel=1e-6)


@pytest.mark.parametrize("power", [-900, 600])
def test_reconstruction_score_of_numbers_of_any_size(power):
    """A network without biases and hidden layers is linear: a unit is a factor of it all."""
    X, _ = regression()
    settings = {"standardize": False, "hidden_layer_sizes": (), "max_iter": 1}
    sae = SupervisedAutoencoder(2, **settings, learning_rate_init=1e-3, random_state=0).fit(X)
    with torch.no_grad():
        for name, parameter in sae.net_.module_.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    assert sae.score(X) == sae.score(np.ldexp(X, power))


@pytest.mark.parametrize("zero_weight", [True, False])
@pytest.mark.parametrize("incomplete", [True, False])
@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize(
    "cls",
    [SupervisedAutoencoder, SupervisedAutoencoderClassifier],
    ids=["regressor", "classifier"],
)
@IGNORE_CLIPPED
def test_integer_weights_equal_repeated_rows(cls, early_stopping, incomplete, zero_weight):
    X, y = mixed_table() if incomplete else regression()
    if cls is SupervisedAutoencoderClassifier:
        y = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    weight = np.random.default_rng(1).integers(0 if zero_weight else 1, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), weight)
    take = X.iloc if incomplete else X
    settings = {**FULL_BATCH, "early_stopping": early_stopping, "alpha": 0.1, "l1": 0.001}
    weighted = cls(**settings).fit(X, y, sample_weight=weight)
    plain = cls(**settings).fit(take[repeated], np.asarray(y)[repeated])
    assert_allclose(weighted.transform(X), plain.transform(X), rtol=1e-6, atol=1e-6)
    assert_allclose(weighted.predict(X), plain.predict(X), rtol=1e-6, atol=1e-6)
    assert_allclose(weighted.history_, plain.history_, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_scale_of_weights_does_not_matter(cls):
    X, y = regression()
    settings = {**TINY, "alpha": 0.1, "l1": 0.001}
    one, small = (
        cls(**settings).fit(X, y > 0, sample_weight=np.full(60, scale)) for scale in (1, 1 / 60)
    )
    assert_allclose(one.transform(X), small.transform(X), rtol=1e-9, atol=1e-9)


def test_auto_alpha_follows_the_distinct_rows():
    """Neither repeating rows nor the scale of weights changes it."""
    X, y = regression()
    auto = SupervisedAutoencoder(**TINY, alpha="auto")
    given = SupervisedAutoencoder(**TINY, alpha=300 / 60**2)
    assert_array_equal(auto.fit(X, y).transform(X), given.fit(X, y).transform(X))
    assert auto.alpha_ == given.alpha_ == given.alpha
    assert auto.fit(np.tile(X, (2, 1)), np.tile(y, 2)).alpha_ == given.alpha
    assert auto.fit(X, y, sample_weight=np.full(60, 0.1)).alpha_ == given.alpha
    assert auto.fit(X[:2], y[:2]).alpha_ == 0.15
    assert clone(auto).partial_fit(X, y).alpha_ == 1e-3


def test_rows_that_differ_in_their_target_alone_are_distinct():
    """So alpha="auto" counts each of two measurements of one input."""
    X, y = np.tile(regression()[0], (2, 1)), np.repeat([0, 1], 60)
    auto = SupervisedAutoencoder(**TINY, alpha="auto")
    assert auto.fit(X, y).alpha_ == 300 / 120**2
    assert auto.fit(X, np.tile(y[::2], 2)).alpha_ == 300 / 60**2
    classes = SupervisedAutoencoderClassifier(**TINY).fit(X, y)
    assert classes.alpha_ == pytest.approx(alpha_of_classes(X, y, None, 120, 120))


def test_unlabelled_rows_shape_latents_but_not_the_predictor():
    X, y = regression()
    y[30:] = np.nan
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    assert np.isfinite(sae.predict(X)).all()
    labels = np.where(np.isnan(y), None, np.where(y > 0, "high", "low"))
    clf = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    assert_array_equal(clf.classes_, ["high", "low"])
    # other values of the unlabelled rows change the latents...
    other = X.copy()
    other[30:] *= -3
    assert not np.allclose(
        SupervisedAutoencoder(**TINY).fit(other, y).transform(X), sae.transform(X)
    )
    # ...unless the reconstruction counts for nothing and the scales stay as they are
    settings = {**TINY, "reconstruction_weight": 0, "batch_size": 60, "standardize": False}
    first, second = (SupervisedAutoencoder(**settings).fit(table, y) for table in (X, other))
    assert_allclose(first.predict(X), second.predict(X), rtol=1e-9, atol=1e-9)


def test_missing_entry_is_left_out_of_the_reconstruction():
    """What a lost entry was cannot matter; that it was lost does."""
    X, _ = regression()
    X[::7, 1] = np.nan
    sae = SupervisedAutoencoder(**TINY, reconstruction_loss="absolute_error").fit(X)
    scaled = StandardScaler().fit(X)
    values, measured = np.nan_to_num(scaled.transform(X)), ~np.isnan(X)
    with torch.no_grad():
        decoded = (
            sae.net_.module_(Batch({"table": torch.from_numpy(values)})).blocks["table"].numpy()
        )
    expected = np.abs(decoded - values)[measured].mean()
    totals = sae.net_.totals_["train"]
    assert totals.entries["reconstruction"] == measured.sum()
    settings = {**TINY, "reconstruction_loss": "absolute_error", "batch_size": 60}
    one_more = SupervisedAutoencoder(**settings, warm_start=True).fit(X)
    one_more.net_.module_.load_state_dict(sae.net_.module_.state_dict())
    one_more.set_params(max_iter=1).fit(X)
    assert one_more.history_["train_reconstruction"].iloc[-1] == pytest.approx(expected, rel=1e-12)


def test_history_terms_add_up():
    X, y = regression()
    sae = SupervisedAutoencoder(
        **TINY,
        early_stopping=True,
        l1=0.01,
        alpha=1,
        reconstruction_weight=0.5,
        prediction_weight=3,
    ).fit(X, y)
    history = sae.history_
    assert len(history) == sae.n_iter_
    for part in ("train", "valid"):
        total = 0.5 * history[f"{part}_reconstruction"] + 3 * history[f"{part}_prediction"]
        assert_allclose(history[f"{part}_loss"], total, rtol=1e-12)
    module = sae.net_.module_
    kept = history.iloc[sae.best_iter_ - 1]
    assert kept["l1"] == pytest.approx(
        0.01 * module.encoder[0].weight.abs().sum().item()
        + 0.01 * module.encoder[2].weight.abs().sum().item()
    )
    squares = sum(p.square().sum().item() for n, p in module.named_parameters() if "weight" in n)
    assert kept["l2"] == pytest.approx(squares / 2)


def test_l1_shrinks_the_weights_of_the_encoder_alone():
    """Without any data term, Adam's first step is the rate times the sign of the penalty's."""
    X, y = regression()
    rate = 1e-3
    settings = {"reconstruction_weight": 0, "prediction_weight": 0, "alpha": 0, "batch_size": 60}
    settings |= {**TINY, "max_iter": 1, "learning_rate_init": rate}
    still, moved = (
        dict(SupervisedAutoencoder(**settings, l1=l1).fit(X, y).net_.module_.named_parameters())
        for l1 in (0.0, 0.1)
    )
    kinds = set()
    for name, before in still.items():
        is_penalised = name.startswith("encoder.") and name.endswith("weight")
        expected = before - is_penalised * rate * before.sign()
        # Adam adds 1e-8 to the size of the gradient, which is 0.1
        torch.testing.assert_close(moved[name], expected, rtol=0, atol=rate * 1e-6)
        kinds.add((name.split(".")[0], is_penalised))
    assert {kind for kind, penalised in kinds if penalised} == {"encoder"}
    assert len({kind for kind, _ in kinds}) >= 3


def test_term_without_a_measured_entry_is_unknown_and_adds_nothing():
    X, y = regression()
    y[1:] = np.nan
    sae = SupervisedAutoencoder(**TINY, early_stopping=True).fit(X, y)
    assert sae.history_["valid_prediction"].isna().all()
    assert_array_equal(sae.history_["valid_loss"], sae.history_["valid_reconstruction"])


@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_shape(dtype, n_targets):
    X, y = regression(n_targets=n_targets)
    X = X.astype(dtype)
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    assert next(sae.net_.module_.parameters()).dtype == torch.from_numpy(X).dtype
    assert sae.transform(X).dtype == sae.inverse_transform(sae.transform(X)).dtype == dtype
    assert sae.predict(X).shape == y.shape
    column = SupervisedAutoencoder(**TINY).fit(X, y.reshape(len(y), -1))
    assert column.predict(X).shape == (len(y), n_targets)


def test_same_seed_same_fit_and_no_global_state():
    X, y = regression()
    np.random.seed(3)
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone()
    first = SupervisedAutoencoder(**TINY, dropout=0.3).fit(X, y)
    assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    torch.manual_seed(99)
    second = SupervisedAutoencoder(**TINY, dropout=0.3).fit(X, y)
    assert_array_equal(first.predict(X), second.predict(X))
    other = SupervisedAutoencoder(**{**TINY, "random_state": 1}, dropout=0.3).fit(X, y)
    assert not np.allclose(first.predict(X), other.predict(X))


def test_prediction_has_no_dropout():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, dropout=0.5).fit(X, y)
    assert_array_equal(sae.predict(X), sae.predict(X))


# -- early stopping, schedules, going on


def test_early_stopping_keeps_the_best_epoch():
    X, y = regression(80)
    y = np.random.default_rng(0).permutation(y)  # nothing to learn: the loss rises soon
    sae = SupervisedAutoencoder(
        **{**TINY, "max_iter": 300, "predictor_hidden_layer_sizes": (64,)},
        learning_rate="constant",
        learning_rate_init=0.05,
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=5,
        tol=0,
    ).fit(X, y)
    assert sae.best_iter_ == sae.history_["valid_loss"].idxmin()
    assert sae.n_iter_ == sae.best_iter_ + 5 < 300
    shorter = clone(sae).set_params(max_iter=sae.best_iter_).fit(X, y)
    assert_array_equal(shorter.predict(X), sae.predict(X))


class Batches(Callback):
    """Keep the table, the target and the weights of the first epoch's batches, by part."""

    def on_batch_begin(self, net, batch, training, **kwargs):
        if len(net.history) == 1:
            part = self.__dict__.setdefault("learnt" if training else "held_out", [])
            part.append([batch.values["table"], batch.target, batch.weight])

    def part(self, name):
        return [torch.cat(arrays).numpy() for arrays in zip(*getattr(self, name), strict=True)]


def test_scales_are_those_of_the_rows_that_are_learnt_from():
    """The scales of the table and of the target see nothing of what is held out."""
    X, y = regression()
    weight = np.linspace(0.5, 2, len(X))
    spy = Batches()
    SupervisedAutoencoder(
        **TINY, early_stopping=True, validation_fraction=0.3, callbacks=[spy]
    ).fit(X, y, sample_weight=weight)
    table, target, share = spy.part("learnt")
    assert (len(table), len(spy.part("held_out")[0])) == (42, 18)
    atol = 100 * np.finfo(float).eps  # of sums of 42 numbers of the size of 1
    for values in (table, target):
        mean = np.average(values, axis=0, weights=share[:, 0])
        variance = np.average((values - mean) ** 2, axis=0, weights=share[:, 0])
        assert_allclose(mean, 0, atol=atol)
        assert_allclose(variance, 1, atol=atol)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau"])
def test_learning_rate(schedule):
    X, y = regression()
    sae = SupervisedAutoencoder(
        **{**TINY, "max_iter": 40},
        learning_rate=schedule,
        learning_rate_init=0.1,
        n_iter_no_change=2,
    ).fit(X, np.random.default_rng(0).permutation(y))
    rate = sae.history_["learning_rate"].to_numpy()
    assert rate[0] == 0.1
    if schedule == "constant":
        assert (rate == 0.1).all()
    elif schedule == "cosine":
        assert_allclose(rate, 0.05 * (1 + np.cos(np.pi * np.arange(40) / 40)), rtol=1e-9)
    else:
        assert set(np.unique(np.log2(0.1 / rate).round(9))) > {0.0}


def test_warm_start_goes_on():
    X, y = regression()
    once = SupervisedAutoencoder(**TINY, warm_start=True, learning_rate="constant").fit(X, y)
    first = once.history_
    state = {name: value.clone() for name, value in once.net_.module_.state_dict().items()}
    once.set_params(learning_rate_init=1e-12).fit(X, y)
    assert once.n_iter_ == 10
    assert_array_equal(once.history_.iloc[:5], first)
    for name, value in once.net_.module_.state_dict().items():
        assert_allclose(value, state[name], atol=1e-10)
    with pytest.raises(ValueError, match=r"'n_components' parameter was 2 .* and is 3 now"):
        once.set_params(n_components=3).fit(X, y)
    assert once.transform(X).shape == (60, 2)


def test_partial_fit_is_epochs_of_fit():
    X, y = regression()
    fitted = SupervisedAutoencoder(**TINY, learning_rate="constant", dropout=0.2).fit(X, y)
    stepped = SupervisedAutoencoder(**TINY, dropout=0.2)
    for _ in range(5):
        stepped.partial_fit(X, y)
    assert_array_equal(stepped.predict(X), fitted.predict(X))
    assert stepped.n_iter_ == 5


def test_callbacks_of_skorch():
    from skorch.callbacks import EarlyStopping, GradientNormClipping

    class Spy(Callback):
        def __init__(self):
            self.batches = self.epochs = 0

        def on_batch_end(self, net, batch, training, **kwargs):
            self.batches += training

        def on_epoch_end(self, net, **kwargs):
            self.epochs += 1

    X, y = regression()
    spy = Spy()
    callbacks = [
        ("spy", spy),
        GradientNormClipping(1.0),
        EarlyStopping("train_loss", patience=2, threshold=1e9, threshold_mode="abs"),
    ]
    sae = SupervisedAutoencoder(**TINY, batch_size=20, callbacks=callbacks).fit(X, y)
    assert sae.n_iter_ == spy.epochs == 3
    assert spy.batches == 9
    assert not np.allclose(
        sae.predict(X), SupervisedAutoencoder(**{**TINY, "max_iter": 3}).fit(X, y).predict(X)
    )


@pytest.mark.parametrize("early_stopping", [True, False])
def test_callbacks_of_skorch_that_read_its_history(tmp_path, early_stopping):
    from skorch.callbacks import Checkpoint, EpochTimer, ProgressBar

    X, y = regression()
    monitor = "valid_loss_best" if early_stopping else "train_loss_best"
    callbacks = [
        Checkpoint(monitor=monitor, dirname=tmp_path, f_pickle=None),
        ProgressBar(detect_notebook=False),
        EpochTimer(),
    ]
    settings = {**TINY, "early_stopping": early_stopping, "learning_rate": "constant"}
    sae = SupervisedAutoencoder(**settings, callbacks=callbacks).fit(X, y)
    assert (tmp_path / "params.pt").exists()
    assert not set(sae.history_) & {"train_loss_best", "train_batch_count"}
    assert "dur" in sae.history_


def test_verbose_shows_a_bar(capsys):
    X, y = regression()
    SupervisedAutoencoder(**TINY, verbose=1).fit(X, y)
    shown = capsys.readouterr()
    assert not shown.out
    assert "5/5" in shown.err
    assert "train_loss=" in shown.err
    SupervisedAutoencoder(**TINY).fit(X, y)
    assert capsys.readouterr() == ("", "")


# -- what comes back


def test_inverse_transform_gives_the_fitted_frame_back():
    X, y = mixed_table()
    settings = {**TINY, "n_components": 8, "max_iter": 200, "learning_rate_init": 0.02, "alpha": 0}
    sae = SupervisedAutoencoder(**settings).fit(X, y).set_output(transform="pandas")
    latents = sae.transform(X)
    assert list(latents) == [f"supervisedautoencoder{i}" for i in range(8)]
    back = sae.inverse_transform(latents)
    pd.testing.assert_series_equal(back.dtypes, X.dtypes)
    assert back.index.equals(X.index)
    known = X["layer"].notna()
    assert (back.loc[known, "layer"] == X.loc[known, "layer"]).all()
    assert set(back["phase"].cat.categories) == {"a", "b", "c"}


def test_grid_search_cross_validation_and_pipeline():
    X, y = regression(90)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), SupervisedAutoencoder(**TINY)),
        {"supervisedautoencoder__n_components": [1, 2]},
        cv=2,
    ).fit(X, y)
    assert search.predict(X).shape == y.shape
    assert len(cross_val_score(SupervisedAutoencoder(**TINY), X, y, cv=3)) == 3
    latent_ridge = make_pipeline(SupervisedAutoencoder(**TINY), Ridge()).fit(X, y)
    assert latent_ridge.predict(X).shape == y.shape
    scaled = TransformedTargetRegressor(
        SupervisedAutoencoder(**TINY), func=np.cbrt, inverse_func=lambda t: t**3
    )
    assert scaled.fit(X, y).predict(X).shape == y.shape


def test_search_without_target_scores_the_reconstruction():
    X, _ = regression(90)
    search = GridSearchCV(
        SupervisedAutoencoder(**{**TINY, "max_iter": 100}), {"n_components": [1, 4]}, cv=2
    )
    assert search.fit(X).best_params_ == {"n_components": 4}


def test_score_leaves_unlabelled_rows_out():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    incomplete = y.copy()
    incomplete[::3] = np.nan
    known = ~np.isnan(incomplete)
    assert sae.score(X, incomplete) == pytest.approx(sae.score(X[known], y[known]))
    both, part = np.column_stack([y, X[:, 0]]), np.column_stack([incomplete, X[:, 0]])
    sae = SupervisedAutoencoder(**TINY).fit(X, both)
    first, second = (
        r2_score(both[rows, k], sae.predict(X[rows])[:, k])
        for k, rows in ((0, known), (1, slice(None)))  # each output has labelled rows of its own
    )
    assert sae.score(X, part) == pytest.approx((first + second) / 2)
    labels = np.where(y > 0, "high", "low").astype(object)
    clf = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    partly = labels.copy()
    partly[::3] = None
    assert clf.score(X, partly) == clf.score(X[known], labels[known])
    weight = np.where(clf.predict(X) == labels, 3.0, 1.0)
    right = weight[known & (weight == 3)].sum() / weight[known].sum()
    assert clf.score(X, partly, weight) == pytest.approx(right)
    assert clf.score(X, partly, weight) > clf.score(X, partly)


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
@pytest.mark.parametrize("kind", [list, pd.Series])
def test_regressor_takes_any_missing_target(missing, kind):
    X, y = regression()
    incomplete = [missing, *y[1:]]
    expected = SupervisedAutoencoder(**TINY).fit(X, np.array([np.nan, *y[1:]]))
    assert_array_equal(
        SupervisedAutoencoder(**TINY).fit(X, kind(incomplete)).predict(X), expected.predict(X)
    )


def test_defaults_agree():
    regressor, classifier = SupervisedAutoencoder().get_params(), SupervisedAutoencoderClassifier()
    of_numbers = {"prediction_loss": "squared_error", "target_block": None, "target_bounds": None}
    of_numbers |= {"predictor": "auto", "alpha": 1e-3}
    of_classes = classifier.get_params()
    assert of_classes.pop("class_weight") is None
    assert {**of_classes, **of_numbers} == regressor


def test_docstrings_agree():
    assert_docstring_consistency(
        [SupervisedAutoencoder, SupervisedAutoencoderClassifier],
        include_params=True,
        exclude_params=[
            "prediction_loss",
            "target_block",
            "target_bounds",
            "predictor",
            "alpha",
            "class_weight",
        ],
        include_attrs=True,
        exclude_attrs=["classes_", "predictor_", "leave_one_out_score_"],
    )


def test_prediction_needs_a_target():
    X, _ = regression()
    sae = SupervisedAutoencoder(**TINY).fit(X)
    with pytest.raises(NoTargetError, match=r"fitted without a target \(y=None\)"):
        sae.predict(X)
    with pytest.raises(NotFittedError):  # which is what code around scikit-learn's catches
        sae.predict(X)
    with pytest.raises(ValueError, match="requires y to be passed"):
        SupervisedAutoencoderClassifier(**TINY).fit(X)
