"""The order of the rooms: what a file may import, and where things may stand."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGE = "sknestedae"

# A folder, or a file at the top, imports only from those that stand above it here.
FLOORS = [
    {"exceptions", "_compat", "_notices", "_persistence", "_version"},
    {"_tables", "datasets"},
    {"_ambient", "_layers"},
    {"blocks"},
    {"_networks"},
    {"_training"},
    {"_latents"},
    {"_estimators"},
    {"model_selection", "design", "inspection"},
    {"plotting"},
    {"_report"},
]
RANKS = {name: rank for rank, floor in enumerate(FLOORS) for name in floor}
# Within a folder, a file imports only from those that stand before it.
ORDER = {
    "": [
        "exceptions",
        "_version",
        "_compat",
        "_notices",
        "_persistence",
        "_ambient",
        "inspection",
    ],
    "_tables": [
        "_text",
        "_input",
        "_layout",
        "_statistics",
        "_weights",
        "_dtypes",
        "_labels",
        "_columns",
        "_splits",
        "_categories",
        "_codec",
        "_encoder",
        "_missing",
        "_target",
        "_scales",
    ],
    "datasets": ["_base", "_nested_functions", "_perovskites"],
    "_layers": ["_device", "_dense"],
    "blocks": ["_base", "_errors", "_tabular"],
    "_networks": ["_batch", "_losses", "_autoencoder", "_chain", "_stacked"],
    "_training": [
        "_allowed_callbacks",
        "_data",
        "_defaults",
        "_schedules",
        "_state",
        "_callbacks",
        "_objective",
        "_net",
        "_job",
        "_vectorized_batches",
        "_vectorized_settings",
        "_vectorized_adam",
        "_vectorized_training",
        "_vectorized",
        "_concurrent",
    ],
    "_latents": ["_residuals", "_density", "_observation", "_inference"],
    "_estimators": [
        "_validation",
        "_fitted",
        "_ensemble",
        "_base",
        "_supervised",
        "_unwrap",
        "_refinement",
        "_stages",
        "_completion",
        "_outputs",
        "_nested",
        "_differentiable",
    ],
    "model_selection": ["_folds", "_scorers", "_search"],
    "design": ["_constraints", "_targets", "_search", "_design"],
    "plotting": [
        "_base",
        "_history",
        "_latent",
        "_nested",
        "_reconstruction",
        "_components",
        "_traversal",
    ],
    "_report": [
        "_content",
        "_html",
        "_markdown",
        "_task",
        "_folds",
        "_facts",
        "_limits",
        "_figures",
        "_sections",
        "_report",
    ],
}
WITHOUT_TORCH = {
    "exceptions",
    "_compat",
    "_notices",
    "_persistence",
    "_version",
    "_tables",
    "datasets",
}
AT_USE_ONLY = {
    "captum",
    "mapie",
    "matplotlib",
    "narwhals",
    "polars",
    "pooch",
    "pyarrow",
    "skops",
    "tqdm",
}
# Test files that stand for no one source file.
GENERAL_TESTS = {
    "bad_input",
    "cluster",
    "docstrings",
    "common",
    "intervals",
    "invariances",
    "layout",
    "persistence",
    "random_tables",
}

SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))
ROOMS = [path for path in SOURCES if path != ROOT / PACKAGE / "__init__.py"]


def name_of(path):
    return str(path.relative_to(ROOT))


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def room_of(path):
    """Give the first name below the package, as in RANKS."""
    return path.relative_to(ROOT / PACKAGE).with_suffix("").parts[0]


def imported(tree, path):
    """Give the full dotted names that a file imports; of ``from a import b``, ``a.b``."""
    folder = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_when_loaded(path):
    """Give the imports of a file that run when it is loaded: not those inside functions."""
    tree = parse(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            node.body = []
    return imported(tree, path)


def every_source(paths=SOURCES):
    return pytest.mark.parametrize("path", paths, ids=name_of)


def test_the_package_is_found():
    assert {"_tables", "_estimators", "blocks", "inspection"} <= {room_of(path) for path in ROOMS}


@every_source(ROOMS)
def test_imports_go_one_way(path):
    room = room_of(path)
    assert room in RANKS, f"give {room} a floor in FLOORS, above which it may import nothing"
    for name in imported(parse(path), path):
        package, _, rest = name.partition(".")
        if package != PACKAGE:
            continue
        other = rest.split(".")[0]
        assert other in RANKS, f"imports {name}"
        is_above = RANKS[other] < RANKS[room]
        same_floor = RANKS[other] == RANKS[room] and (ROOT / PACKAGE / f"{other}.py").is_file()
        assert other == room or is_above or same_floor, f"imports {name}, which stands below"


@every_source([path for path in ROOMS if path.name != "__init__.py"])
def test_files_of_a_folder_import_one_way(path):
    folder = path.parent
    key = "" if folder == ROOT / PACKAGE else folder.name
    assert path.stem in ORDER[key], f"give {path.stem} a place in ORDER[{key!r}]"
    before = ORDER[key][: ORDER[key].index(path.stem)]
    prefix = ".".join([PACKAGE, *([key] if key else [])]) + "."
    for name in imported(parse(path), path):
        other = name.removeprefix(prefix).split(".")[0]
        if name.startswith(prefix) and (folder / f"{other}.py").is_file():
            assert other in before, f"imports {name}, which stands below"


@pytest.mark.parametrize("path", [p for p in ROOMS if room_of(p) != "_compat"], ids=name_of)
def test_only_compat_touches_private_scikit_learn(path):
    for name in imported(parse(path), path):
        package, *parts = name.split(".")
        if package == "sklearn":
            assert not any(part.startswith("_") for part in parts), f"imports {name}"


@every_source()
def test_optional_and_slow_packages_are_imported_at_use(path):
    loaded = {name.split(".")[0] for name in imported_when_loaded(path)}
    assert not loaded & AT_USE_ONLY


@every_source([path for path in ROOMS if room_of(path) in WITHOUT_TORCH])
def test_tables_and_data_know_no_torch(path):
    loaded = {name.split(".")[0] for name in imported(parse(path), path)}
    assert not loaded & {"torch", "skorch"}


@every_source()
def test_nothing_prints(path):
    calls = [
        node.lineno
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    ]
    assert not calls, f"print( in lines {calls}"


@every_source()
def test_nothing_seeds_globally(path):
    """torch is seeded inside forked_rng only; NumPy's global generator never is."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Attribute) and node.attr in ("seed", "set_state"):
            assert ast.unparse(node.value) not in ("np.random", "numpy.random", "random")


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=name_of)
def test_a_test_file_has_a_source_file(path):
    name = path.stem.removeprefix("test_")
    if path.parent == TESTS and name in GENERAL_TESTS:
        return
    folder = ROOT / PACKAGE / path.parent.relative_to(TESTS)
    names = {name, name.removesuffix("_display")}
    candidates = {folder / f"{mark}{n}" for n in names for mark in ("", "_")}
    assert any(c.is_dir() or c.with_suffix(".py").is_file() for c in candidates)
