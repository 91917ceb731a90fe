"""What a user has set in torch and in scikit-learn, and a call of this package between them."""

import inspect
import pickle
import threading
from contextlib import ExitStack, contextmanager

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback

from sknestedae import (
    DualAutoencoder,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    inspection,
    plotting,
    report,
)
from sknestedae._ambient import as_array, isolated, let_go, plain_torch
from sknestedae.blocks import DenseBlock
from sknestedae.design import propose
from sknestedae.model_selection import (
    BatchedGridSearchCV,
    batched_cross_validate,
    batched_training,
)

RNG = np.random.RandomState(0)
N_ROWS = 24
X = RNG.normal(size=(N_ROWS, 4)).astype(np.float32)
Y = X[:, 0] - X[:, 2]
LABELS = np.where(X[:, 1] > 0, "p", "n")
WEIGHT = RNG.uniform(0.5, 2, N_ROWS)
GAPS = np.where(np.arange(4) == 1, np.nan, X[:3])
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(kind=LABELS)
QUICK = {"max_iter": 3, "learning_rate_init": 0.01, "random_state": 0}


# ---------------------------------------------------------------------------------------------
# What can be set


@contextmanager
def value_of(read, write, value):
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)


def dtype(value):
    return value_of(torch.get_default_dtype, torch.set_default_dtype, value)


@contextmanager
def device(name):
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


def precision(value):
    return value_of(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, value)


def overwriting():
    flags = torch.__future__
    return value_of(
        flags.get_overwrite_module_params_on_conversion,
        flags.set_overwrite_module_params_on_conversion,
        True,
    )


def deterministic():
    return value_of(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    )


TORCH = {
    "float64": lambda: dtype(torch.float64),
    "bfloat16": lambda: dtype(torch.bfloat16),
    "with device": lambda: torch.device("meta"),
    "default device": lambda: device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "matmul precision": lambda: precision("medium"),
    "parameters overwritten": overwriting,
    "deterministic": deterministic,
}
CONFIG = {
    "assume_finite": True,
    "working_memory": 1,
    "print_changed_only": False,
    "display": "text",
    "pairwise_dist_chunk_size": 16,
    "enable_cython_pairwise_dist": False,
    "array_api_dispatch": True,
    "transform_output": "pandas",
    "enable_metadata_routing": True,
    "skip_parameter_validation": True,
    "sparse_interface": "sparray",  # since scikit-learn 1.9
}
SETTINGS = {
    **TORCH,
    **{
        key: lambda key=key, value=value: config_context(**{key: value})
        for key, value in CONFIG.items()
        if key in get_config()
    },
}
every_setting = pytest.mark.parametrize("setting", SETTINGS)
every_setting_of_torch = pytest.mark.parametrize("setting", TORCH)


@pytest.fixture(autouse=True)
def _dispatch(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it array_api_dispatch cannot be set


# Settings that do not stand in for each other, to be set all at once.
TOGETHER = {
    "first": ["float64", "with device", "inference_mode", "autocast"],
    "second": [
        "bfloat16",
        "default device",
        "no_grad",
        "matmul precision",
        "parameters overwritten",
        "deterministic",
    ],
}


@contextmanager
def everything(output="pandas", of_torch="first"):
    """Set all at once, for what takes long."""
    with ExitStack() as stack:
        for name in TOGETHER[of_torch]:
            stack.enter_context(SETTINGS[name]())
        config = {key: value for key, value in CONFIG.items() if key in get_config()}
        stack.enter_context(config_context(**{**config, "transform_output": output}))
        yield


def state():
    """Give all that a call must leave as it was."""
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "matmul": torch.get_float32_matmul_precision(),
        "backends": precisions(),
        "overwrite": torch.__future__.get_overwrite_module_params_on_conversion(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "generator": torch.get_rng_state().numpy().tobytes(),
        "config": get_config(),
    }


def precisions():
    """Give the precision of each backend, as torch tells it since 2.9."""
    backends = (torch.backends.mkldnn, torch.backends.cuda)
    return {getattr(getattr(b, "matmul", None), "fp32_precision", "none") for b in backends}


PLAIN = {key: value for key, value in state().items() if key not in ("generator", "backends")}


def assert_plain():
    now = state()
    assert {key: now[key] for key in PLAIN} == PLAIN
    assert now["backends"] <= {"ieee", "none"}


def test_the_settings_are_not_those_of_a_new_process():
    """Else the tests below could not fail."""
    for setting in SETTINGS.values():
        with setting(), pytest.raises(AssertionError):
            assert_plain()
    assert set(get_config()) - set(CONFIG) == set(), "a new setting of scikit-learn: add it"
    assert_plain()


# ---------------------------------------------------------------------------------------------
# Estimators


def chain(first, second, **parameters):
    return NestedAutoencoder([("one", *first), ("two", *second)], random_state=0, **parameters)


def sae(**parameters):
    return SupervisedAutoencoder(2, **{**QUICK, **parameters})


def dual(**parameters):
    blocks = [("own", DenseBlock(), [0, 1])]
    return DualAutoencoder(2, blocks=blocks, **{**QUICK, **parameters})


ESTIMATORS = {
    "regressor": lambda: sae(dropout=0.1, early_stopping=True),
    "classifier": lambda: SupervisedAutoencoderClassifier(2, l1=1e-3, **QUICK),
    "ensemble": lambda: sae(n_members=2, bootstrap=True),
    "block": lambda: sae(blocks=[("own", DenseBlock(), [0])]),
    "dual": lambda: dual(beta=1e-3),
    "separated": lambda: dual(alignment="separated"),
    "chain": lambda: chain((sae(), [0, 1]), (sae(), [2, 3]), refine_iter=1),
    "pipelines": lambda: chain(
        (make_pipeline(StandardScaler(), sae()), [0, 1]),
        (make_pipeline(StandardScaler(), sae()), [2, 3]),
    ),
}
UNWEIGHTED = {
    "PCA": lambda: chain((PCA(2), ["a", "b"]), (sae(), ["c", "kind"])),
    "categories": lambda: chain((OneHotEncoder(), ["kind"]), (sae(), ["c", "d"])),
}


def outcomes(name):
    """Fit, and give what all methods give."""
    weight = None if name in UNWEIGHTED else WEIGHT
    table = FRAME if name in UNWEIGHTED else X
    y = LABELS if name == "classifier" else Y
    estimator = {**ESTIMATORS, **UNWEIGHTED}[name]().fit(table, y, sample_weight=weight)
    latents = estimator.transform(table)
    found = {
        "transform": np.asarray(latents),
        "predict": estimator.predict(table),
        "score": estimator.score(table, y, sample_weight=weight),
        "score without y": estimator.score(table),
    }
    if name == "classifier":
        found["predict_proba"] = estimator.predict_proba(table)
        found["predict_log_proba"] = estimator.predict_log_proba(table)
    if name == "ensemble":
        found["spread"] = estimator.predict(table, return_std=True)[1]
    if name not in UNWEIGHTED:
        found["inverse_transform"] = estimator.inverse_transform(np.asarray(latents))
    if name in ("dual", "separated"):
        found["translate"] = estimator.translate(table, "own", "table")
        found["retrieve"] = estimator.retrieve(table, "own", table, return_scores=True)[1]
        found["latents of one"] = np.asarray(estimator.transform(table, block="table"))
        found["translation_score"] = estimator.translation_score(table, "table", "own")
    if name == "dual":
        found["std"] = estimator.transform(table, return_std=True)[1]
        found["sample"] = estimator.sample(3, random_state=0)
    if name not in ("pipelines", *UNWEIGHTED):  # which have steps of other kinds
        found["score_samples"] = estimator.score_samples(table)
        found["complete"] = estimator.complete(GAPS)
        found["candidates"] = estimator.complete(GAPS, n_candidates=2).X
    if name in ("regressor", "classifier", "block", "dual", "separated"):
        estimator.partial_fit(table, y, sample_weight=weight)
        found["partial_fit"] = estimator.predict(table)
    found["file"] = pickle.loads(pickle.dumps(estimator)).predict(table)
    return found


PLAIN_OUTCOMES = {}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert type(found[key]) is type(value), key
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def assert_outcomes_are_plain(name, setting):
    """Assert that a setting changes nothing of an estimator, and is there after it."""
    if name not in PLAIN_OUTCOMES:
        PLAIN_OUTCOMES[name] = outcomes(name)
    with setting:
        before = state()
        found = outcomes(name)
        assert state() == before
    assert_same(found, PLAIN_OUTCOMES[name])
    assert_plain()


@pytest.mark.parametrize("name", ["regressor", "pipelines"])
@every_setting
def test_all_methods_give_the_same_to_the_last_bit(name, setting):
    assert_outcomes_are_plain(name, SETTINGS[setting]())


@pytest.mark.parametrize("name", [*ESTIMATORS, *UNWEIGHTED])
@pytest.mark.parametrize("of_torch", TOGETHER)
def test_all_estimators_give_the_same_with_all_settings(name, of_torch):
    assert_outcomes_are_plain(name, everything(of_torch=of_torch))


def test_all_settings_of_torch_are_in_one_group():
    assert sorted(name for group in TOGETHER.values() for name in group) == sorted(TORCH)


@every_setting
def test_an_error_leaves_all_as_it_was(setting):
    with SETTINGS[setting]():
        before = state()
        with pytest.raises(ValueError, match="infinity"):
            sae().fit(np.full((5, 2), np.inf), np.arange(5))
        assert state() == before


@every_setting_of_torch
def test_a_file_is_read_as_it_was_written(setting):
    fitted = sae().fit(X, Y)
    with TORCH[setting]():
        copied = pickle.loads(pickle.dumps(fitted))
    parameters = list(copied.net_.module_.parameters())
    for own, other in zip(parameters, fitted.net_.module_.parameters(), strict=True):
        assert own.dtype == other.dtype
        assert own.requires_grad
        assert not own.is_inference()
        assert torch.equal(own, other)
    found, expected = (one.partial_fit(X, Y).predict(X) for one in (copied, fitted))
    np.testing.assert_array_equal(found, expected)


def test_a_fit_neither_reads_nor_moves_the_generator():
    expected = outcomes("regressor")
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert_same(outcomes("regressor"), expected)
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------------------------------------
# scikit-learn around an estimator, and an estimator's own words to it


def scores_of_searches():
    """Give the scores of folds and of searches, and what these predict."""
    estimator, grid = sae(predictor="network"), {"alpha": [0.1, 0.001]}
    found = [cross_val_score(estimator, X, Y, cv=2)]
    found.append(cross_val_score(ESTIMATORS["pipelines"](), X, Y, cv=2, scoring="r2"))
    found.append(batched_cross_validate(estimator, X, Y, cv=2)["test_score"])
    for search in (GridSearchCV, BatchedGridSearchCV):
        fitted = search(estimator, grid, cv=2).fit(X, Y)
        found += [fitted.cv_results_["mean_test_score"], fitted.predict(X)]
    return np.concatenate(found)


@contextmanager
def ample(of_torch):
    """Set all at once but for memory: with little of it, networks are trained in other groups."""
    with everything(of_torch=of_torch), config_context(working_memory=1024):
        yield


# all at once, and on their own those that scikit-learn's searches go another way for
OF_SEARCHES = {
    "first": lambda: ample("first"),
    "second": lambda: ample("second"),
    **{
        key: SETTINGS[key]
        for key in ("enable_metadata_routing", "transform_output", "working_memory")
    },
}


@pytest.mark.parametrize("setting", OF_SEARCHES)
def test_folds_and_searches_give_the_same(setting):
    if "searches" not in PLAIN_OUTCOMES:
        PLAIN_OUTCOMES["searches"] = scores_of_searches()
    with OF_SEARCHES[setting]():
        before = state()
        found = scores_of_searches()
        assert state() == before
    tolerance = 1e-4 if setting == "working_memory" else 0  # another group rounds otherwise
    np.testing.assert_allclose(found, PLAIN_OUTCOMES["searches"], rtol=tolerance)


@pytest.mark.parametrize("name", ["regressor", "pipelines"])
@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_weights_are_routed_to_an_estimator_that_asks_for_them(name, search):
    grid = {"random_state": [0]}
    expected = search(ESTIMATORS[name](), grid, cv=2).fit(X, Y, sample_weight=WEIGHT)
    with config_context(enable_metadata_routing=True):
        estimator = ESTIMATORS[name]().set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=True)
        found = search(estimator, grid, cv=2).fit(X, Y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    unweighted = search(ESTIMATORS[name](), grid, cv=2).fit(X, Y)
    assert not np.array_equal(unweighted.predict(X), expected.predict(X))


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("name", ["regressor", "chain", "pipelines", "categories"])
def test_the_outermost_transform_gives_the_frame_that_was_set(name, output):
    module = pytest.importorskip(output)
    table = FRAME if name in UNWEIGHTED else X
    fitted = {**ESTIMATORS, **UNWEIGHTED}[name]().fit(table, Y)
    expected = fitted.transform(table)
    for setting in (config_context(transform_output=output), None):
        with ExitStack() as stack:
            if setting is None:
                fitted.set_output(transform=output)
            else:
                stack.enter_context(setting)
            found = fitted.transform(table)
            twice = clone(fitted).fit_transform(table, Y)
        for frame in (found, twice):
            assert isinstance(frame, module.DataFrame)
            assert list(frame.columns) == list(fitted.get_feature_names_out())
            np.testing.assert_array_equal(frame.to_numpy(), expected)


class Named(DenseBlock):
    """A block with a parameter, which is printed where it is the default only if all are."""

    def __init__(self, name="own"):
        self.name = name


def test_how_a_block_is_printed_is_no_part_of_its_settings():
    first = sae(blocks=[("own", Named(), [0])]).fit(X, Y)
    second = clone(first).fit(X, Y).partial_fit(X, Y)
    with config_context(print_changed_only=False):
        first.partial_fit(X, Y)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_a_pipeline_passes_names_on_as_it_was_fitted_to():
    """What calls a user's whole estimator leaves its output to the user."""
    table = FRAME[list("abcd")]
    with config_context(transform_output="pandas"):
        fitted = make_pipeline(StandardScaler(), sae()).fit(table, Y)
        # without names the autoencoder would warn
        found = inspection.latent_correlations(fitted, table, Y)
        report(fitted, table, Y, cv=2, random_state=0)
    expected = make_pipeline(StandardScaler(), sae()).fit(table, Y)
    expected = inspection.latent_correlations(expected, table, Y)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "transform", "score"])
def test_signatures_are_those_of_the_methods(method):
    """scikit-learn reads from them what may be routed."""
    own = inspect.signature(getattr(SupervisedAutoencoder, method)).parameters
    assert "X" in own
    assert "args" not in own
    if method == "fit":
        assert list(own) == ["self", "X", "y", "sample_weight"]
        assert hasattr(sae(), "set_fit_request")


# ---------------------------------------------------------------------------------------------
# Tensors


@pytest.fixture(params=[False, True], ids=["plain", "array API"])
def dispatch(request):
    with config_context(array_api_dispatch=request.param):
        yield


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("name", ["regressor", "classifier", "ensemble", "chain", "labels"])
def test_tensors_are_read_as_arrays(name):
    y = (LABELS == "p").astype(int) if name in ("classifier", "labels") else Y
    labels = chain((sae(), [0, 1]), (SupervisedAutoencoderClassifier(2, **QUICK), [2, 3]))
    own = labels if name == "labels" else ESTIMATORS[name]()
    own.fit(X, y, sample_weight=WEIGHT)
    table = torch.tensor(X, requires_grad=True)
    target, weight = torch.tensor(y), torch.tensor(WEIGHT)
    fitted = clone(own).fit(table, target, sample_weight=weight)
    methods = ["predict", "transform", "score_samples", "complete"]
    if hasattr(own, "predict_proba"):
        methods += ["predict_proba", "predict_log_proba"]
    for method in methods:
        found = getattr(fitted, method)(table)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, getattr(own, method)(X))
    assert fitted.score(table, target, sample_weight=weight) == own.score(
        X, y, sample_weight=WEIGHT
    )
    latents = torch.tensor(own.transform(X))
    np.testing.assert_array_equal(
        fitted.inverse_transform(latents), own.inverse_transform(latents.numpy())
    )


@pytest.mark.usefixtures("dispatch")
def test_folds_and_searches_take_tensors():
    table, target = torch.tensor(X), torch.tensor(Y)
    np.testing.assert_array_equal(
        cross_val_score(sae(), table, target, cv=2), cross_val_score(sae(), X, Y, cv=2)
    )
    for search in (GridSearchCV, BatchedGridSearchCV):
        network = sae(predictor="network")
        expected = search(network, {"alpha": [0.1, 0.001]}, cv=2).fit(X, Y)
        found = clone(expected).fit(table, target)
        np.testing.assert_array_equal(found.predict(table), expected.predict(X))


@pytest.mark.usefixtures("dispatch")
def test_a_list_of_tensors_is_a_list_of_scales():
    nae = NestedAutoencoder(n_components=2, same_rows=True, max_iter=3, random_state=0)
    tables, targets = [X[:, :2], X[:, 2:]], [None, Y]
    expected = clone(nae).fit(tables, targets).predict(tables)
    as_tensors = [torch.tensor(table) for table in tables]
    found = nae.fit(as_tensors, [None, torch.tensor(Y)]).predict(as_tensors)
    np.testing.assert_array_equal(found[1], expected[1])
    for own, other in zip(nae.transform(as_tensors), nae.transform(tables), strict=True):
        np.testing.assert_array_equal(own, other)


def test_functions_take_tensors():
    fitted, table, target = sae().fit(X, Y), torch.tensor(X, requires_grad=True), torch.tensor(Y)
    np.testing.assert_array_equal(
        inspection.latent_correlations(fitted, table, table),
        inspection.latent_correlations(fitted, X, X),
    )
    found = report(fitted, table, target, cv=2, random_state=0)
    expected = report(fitted, X, Y, cv=2, random_state=0)
    pd.testing.assert_frame_equal(found.scores, expected.scores, check_exact=True)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(2, dtype=torch.bfloat16),
        torch.eye(2, requires_grad=True),
        torch.eye(2).to_sparse(),
        torch.eye(2, dtype=torch.int32),
        torch.complex(torch.eye(2), torch.zeros(2, 2)).conj().real,
    ],
    ids=["bfloat16", "gradient", "sparse", "int", "view"],
)
def test_any_tensor_is_read(tensor):
    found = as_array(tensor)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, np.eye(2))
    assert found.dtype.kind == ("i" if tensor.dtype == torch.int32 else "f")


def test_a_list_is_read_entry_by_entry():
    given = [torch.ones(2, 2), None, FRAME]
    first, second, third = as_array(given)
    np.testing.assert_array_equal(first, np.ones((2, 2)))
    assert second is None
    assert third is FRAME
    assert isinstance(given[0], torch.Tensor)
    same = [1, 2]
    assert as_array(same) is same


# ---------------------------------------------------------------------------------------------
# Functions, with all settings at once


@pytest.fixture(scope="module")
def fitted():
    return {
        "frame": sae().fit(FRAME, Y),
        "chain": chain((sae(), ["a", "b"]), (sae(), ["c", "d"])).fit(FRAME, Y),
    }


@pytest.fixture(params=["pandas", "polars"])
def output(request):
    pytest.importorskip(request.param)
    return request.param


def both(call, output="pandas"):
    """Give what a call gives without and with all settings."""
    plain = call()
    with everything(output):
        before = state()
        found = call()
        assert state() == before
    return plain, found


@pytest.mark.parametrize("name", ["frame", "chain"])
def test_inspection_gives_the_same(fitted, name, output):
    estimator = fitted[name]
    pytest.importorskip("captum")
    for call in (
        lambda: inspection.integrated_gradients(estimator, FRAME, n_steps=3),
        lambda: inspection.encoder_weights(estimator),
        lambda: inspection.column_usage(estimator),
        lambda: inspection.latent_correlations(estimator, FRAME, FRAME),
    ):
        pd.testing.assert_frame_equal(*both(call, output), check_exact=True)


@pytest.mark.parametrize("name", ["frame", "chain"])
@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.ToleranceWarning")
def test_proposals_are_the_same(fitted, name):
    def call():
        return propose(fitted[name], FRAME, "max", n_candidates=2, random_state=0).to_frame()

    pd.testing.assert_frame_equal(*both(call), check_exact=True)


def test_displays_are_the_same(fitted, output):
    import matplotlib.pyplot as plt

    estimator = fitted["frame"]

    def call():
        latents = plotting.LatentDisplay.from_estimator(estimator, FRAME, components="pca")
        tables = plotting.ReconstructionDisplay.from_estimator(estimator, FRAME)
        way = plotting.TraversalDisplay.from_estimator(estimator, FRAME)
        scores = plotting.ComponentsDisplay.from_estimator(
            estimator, FRAME, Y, n_components=[1, 2], cv=2
        )
        return {
            "latents": latents.coordinates,
            "reconstruction": tables.X_reconstructed.to_numpy(dtype=object),
            "way": way.movement_.to_numpy(),
            "scores": scores.scores["prediction"],
        }

    plain, found = both(call, output)
    plt.close("all")
    assert_same(found, plain)


def test_a_report_is_the_same(fitted):
    def call():
        return report(fitted["frame"], FRAME, Y, cv=2, random_state=0)

    plain, found = both(call)
    pd.testing.assert_frame_equal(found.scores, plain.scores, check_exact=True)
    assert found.limits == plain.limits


# ---------------------------------------------------------------------------------------------
# The context


@every_setting_of_torch
def test_torch_is_plain_inside(setting):
    new = {k: v for k, v in PLAIN.items() if k not in ("deterministic", "backends")}
    with TORCH[setting]():
        before = state()
        with plain_torch():
            inside = state()
            assert {key: inside[key] for key in new} == new
            assert not inside["backends"] - {"ieee", "none"}
            assert torch.zeros(1).device.type == "cpu"
            assert torch.ones(1, requires_grad=True).mul(2).requires_grad
        assert state() == before


PASSED_ON = {
    "assume_finite",
    "display",
    "skip_parameter_validation",
    "sparse_interface",
    "working_memory",
}


@pytest.mark.parametrize("key", sorted(CONFIG.keys() & get_config().keys()))
def test_scikit_learn_is_plain_inside_but_for_wishes_of_the_user(key):
    new = get_config()[key]
    with config_context(**{key: CONFIG[key]}):
        assert isolated(get_config)()[key] == (CONFIG[key] if key in PASSED_ON else new)
        assert get_config()[key] == CONFIG[key]


def test_nothing_is_entered_where_torch_is_plain_already(monkeypatch):
    """A default device would slow each call of torch down."""
    entered = []
    monkeypatch.setattr(torch, "set_default_dtype", entered.append)
    with plain_torch():
        assert torch.overrides._len_torch_function_stack() == 0
    assert not entered


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="before torch 2.9")
def test_the_precision_of_one_backend_is_restored():
    backend, other = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul
    before = backend.fp32_precision, other.fp32_precision
    try:
        backend.fp32_precision, other.fp32_precision = "bf16", "ieee"
        with plain_torch():
            assert torch.get_float32_matmul_precision() == "highest"
            assert precisions() == {"ieee"}
        assert (backend.fp32_precision, other.fp32_precision) == ("bf16", "ieee")
    finally:
        torch.set_float32_matmul_precision("highest")
        backend.fp32_precision, other.fp32_precision = before


def test_a_call_inside_a_call_leaves_the_settings_of_its_caller():
    seen = []

    class Sets(Callback):
        def on_train_end(self, net, **kwargs):
            with dtype(torch.float64), torch.no_grad(), torch.device("meta"):
                seen.append(before := state())
                other.complete(GAPS)
                assert state() == before

    other = sae().fit(X, Y)
    # with a callback, too, so that both are trained in the same way
    expected = sae(callbacks=[Callback()]).fit(X, Y).predict(X)
    with dtype(torch.bfloat16):
        found = sae(callbacks=[Sets()]).fit(X, Y).predict(X)
        assert torch.get_default_dtype() == torch.bfloat16
    assert seen
    np.testing.assert_array_equal(found, expected)


def in_thread(call):
    """Run a call in a thread of its own; it is stopped and let go on by events."""
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_the_last_of_two_threads_restores_the_dtype():
    first_may_end, first_is_in = threading.Event(), threading.Event()
    second_may_end, second_is_in = threading.Event(), threading.Event()

    def hold(is_in, may_end):
        with plain_torch():
            is_in.set()
            assert may_end.wait(10)

    with dtype(torch.float64):
        first = in_thread(lambda: hold(first_is_in, first_may_end))
        assert first_is_in.wait(10)
        second = in_thread(lambda: hold(second_is_in, second_may_end))
        assert second_is_in.wait(10)
        first_may_end.set()
        first.join()
        assert torch.get_default_dtype() == torch.float32  # the second one still needs it
        second_may_end.set()
        second.join()
        assert torch.get_default_dtype() == torch.float64


def test_a_thread_that_waits_lets_go():
    with dtype(torch.float64), plain_torch():
        with let_go():
            assert torch.get_default_dtype() == torch.float64
            with plain_torch():
                assert torch.get_default_dtype() == torch.float32
            assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_dtype() == torch.float32
        with plain_torch(), let_go():
            assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_dtype() == torch.float32
    assert torch.get_default_dtype() == torch.float32
    with let_go():
        assert torch.get_default_dtype() == torch.float32


@every_setting_of_torch
def test_fits_in_threads_do_not_undo_each_others_settings(setting):
    seeds = range(4)

    def fit(seed):
        with TORCH[setting]() if seed is not None else ExitStack():
            return sae(random_state=seed).fit(X, Y).predict(X)

    expected = [sae(random_state=seed).fit(X, Y).predict(X) for seed in seeds]
    with TORCH[setting]():
        before = state()
        found = joblib.Parallel(n_jobs=3, prefer="threads")(
            joblib.delayed(lambda seed: sae(random_state=seed).fit(X, Y).predict(X))(seed)
            for seed in seeds
        )
        assert state() == before
    np.testing.assert_array_equal(found, expected)


def test_what_runs_beside_a_fit_sees_the_users_settings():
    """A scorer, and fits of other packages, among networks that wait to be trained together."""
    seen = []

    def score(estimator, X, y):
        seen.append((torch.get_default_dtype(), get_config()["transform_output"]))
        return estimator.score(X, y)

    expected = cross_validate(sae(), X, Y, cv=3, scoring=score)["test_score"]
    seen.clear()
    with dtype(torch.float64), config_context(transform_output="pandas"):
        with batched_training():
            found = cross_validate(sae(), X, Y, cv=3, scoring=score)["test_score"]
        assert torch.get_default_dtype() == torch.float64
    assert seen == 3 * [(torch.float64, "pandas")]
    # networks trained together round otherwise than alone
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_an_isolated_function_keeps_what_is_known_of_it():
    def function(X, *, y=None):
        """Say something."""
        return X, y, get_config()["transform_output"], torch.get_default_dtype()

    call = isolated(function)
    assert call.__name__ == "function"
    assert call.__doc__ == "Say something."
    assert inspect.signature(call) == inspect.signature(function)
    with dtype(torch.float64), config_context(transform_output="pandas"):
        first, second, *modes = call(torch.ones(1), y=torch.zeros(1))
    assert type(first) is type(second) is np.ndarray
    assert modes == ["default", torch.float32]
