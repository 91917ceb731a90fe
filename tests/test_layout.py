"""The order of the folders: what a file may import, and where things may stand."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGE = "sknestedae"

# A folder, or a file at the top, imports only from those that stand above it here.
FLOORS = [
    {
        "exceptions",
        "_compat",
        "_extras",
        "_notices",
        "_persistence",
        "_show_versions",
        "_threads",
        "_version",
    },
    {"_tables", "datasets"},
    {"_atoms"},
    {"_ambient", "_layers", "_gaussian_process"},
    {"blocks"},
    {"_networks"},
    {"_training"},
    {"_latents"},
    {"_estimators"},
    {"model_selection", "design", "inspection", "_export"},
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
        "_extras",
        "_notices",
        "_persistence",
        "_show_versions",
        "_threads",
        "_ambient",
    ],
    "_tables": [
        "_text",
        "_keys",
        "_structures",
        "_input",
        "_cells",
        "_layout",
        "_statistics",
        "_weights",
        "_dtypes",
        "_labels",
        "_columns",
        "_splits",
        "_categories",
        "_base_codec",
        "_codec",
        "_array_codec",
        "_encoder",
        "_one_kind",
        "_missing",
        "_measured",
        "_target",
        "_scales",
        "_kinds",
        "_listed",
        "_staged",
    ],
    "_atoms": ["_elements", "_neighbours", "_surroundings", "_codec"],
    "datasets": [
        "_base",
        "_bepfm",
        "_clusters",
        "_crystals",
        "_nested_functions",
        "_patches",
        "_perovskites",
        "_made_perovskites",
        "_phonon_dos",
        "_solar_cells",
        "_make_solar_cells",
    ],
    "_layers": [
        "_device",
        "_ragged",
        "_atoms",
        "_dense",
        "_derivatives",
        "_bounds",
        "_convolution",
        "_rotation",
    ],
    "_gaussian_process": ["_kernel", "_evidence", "_process", "_differentiable"],
    "blocks": [
        "_losses",
        "_slopes",
        "_drawing",
        "_settings",
        "_base",
        "_tabular",
        "_array",
        "_spectrum",
        "_image",
        "_atoms",
    ],
    "_networks": [
        "_batch",
        "_flat",
        "_penalties",
        "_autoencoder",
        "_parts",
        "_dual",
        "_chain",
        "_stacked",
    ],
    "_training": [
        "_allowed_callbacks",
        "_data",
        "_defaults",
        "_schedules",
        "_state",
        "_callbacks",
        "_terms",
        "_objective",
        "_closed_form",
        "_adam",
        "_net",
        "_job",
        "_vectorized_batches",
        "_vectorized_settings",
        "_vectorized_adam",
        "_vectorized_steps",
        "_vectorized_training",
        "_vectorized",
        "_concurrent",
    ],
    "_latents": ["_residuals", "_covariance", "_density", "_pairs", "_observation", "_inference"],
    "_estimators": [
        "_torch_words",
        "_validation",
        "_head",
        "_fitted",
        "_ensemble",
        "_parameters",
        "_base",
        "_supervised",
        "_classifier",
        "_dual_base",
        "_dual",
        "_unwrap",
        "_refinement",
        "_stages",
        "_passing",
        "_out_of_fold",
        "_completion",
        "_fitted_chain",
        "_outputs",
        "_chain_scores",
        "_diagram",
        "_base_chain",
        "_chain_fit",
        "_nested",
        "_differentiable",
    ],
    "model_selection": ["_folds", "_scorers", "_search"],
    "design": [
        "_columns",
        "_candidates",
        "_library",
        "_constraints",
        "_acquisition",
        "_objectives",
        "_candidate_chain",
        "_search",
        "_choice",
        "_result",
        "_design",
    ],
    "inspection": [
        "_weights",
        "_correlations",
        "_attributions",
        "_atoms",
        "_rotation",
        "_translations",
        "_summary",
    ],
    "_export": ["_columns", "_encoder"],
    "plotting": [
        "_base",
        "_arrays",
        "_structures",
        "_kinds",
        "_history",
        "_latent",
        "_atoms",
        "_alignment",
        "_latent_map",
        "_manifold",
        "_nested",
        "_pairs",
        "_reconstruction",
        "_components",
        "_traversal",
    ],
    "_report": [
        "_content",
        "_html",
        "_markdown",
        "_task",
        "_as_column",
        "_passed",
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
    "_atoms",
    "datasets",
}
AT_USE_ONLY = {
    "ase",
    "captum",
    "mapie",
    "matplotlib",
    "narwhals",
    "polars",
    "pooch",
    "pyarrow",
    "skops",
    "tqdm",
    "vesin",
}
# Names with an underscore that are public all the same: of named tuples, and of notebooks.
PUBLIC_ALL_THE_SAME = {"_replace", "_asdict", "_fields", "_make", "_repr_html_"}
# Private attributes of other packages, where these have no public way: the frames above a call,
# and the children and buffers of a torch module, to exchange them in a copy.
OF_OTHER_PACKAGES = {
    "_compat": {"_getframe"},
    "_networks": {"_modules", "_buffers"},
    "_training": {
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_post_accumulate_grad_hooks",
        "_modules",
        "_parameters",
    },
}
# Test files that stand for no one source file.
GENERAL_TESTS = {
    "bad_input",
    "cluster",
    "docstrings",
    "documents",
    "common",
    "intervals",
    "invariances",
    "kinds",
    "latents_of_arrays",
    "layout",
    "passthrough",
    "persistence",
    "publishing",
    "random_tables",
    "structures",
    "tags",
    "variational",
}

SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))
ROOMS = [path for path in SOURCES if path != ROOT / PACKAGE / "__init__.py"]


def name_of(path):
    return str(path.relative_to(ROOT))


@cache
def parse(path):
    """Parse a file, once for all rules: none may change the tree."""
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
    """Give the imports of a file that run when it is loaded: not in functions, not for types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))  # one of its own, which changes
    for node in ast.walk(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if is_function or is_for_types:
            node.body = []
    return imported(tree, path)


def every_source(paths=SOURCES):
    """Make a test of a rule for a file: one over all files, which names those that break it."""

    def make_test(rule):
        def test():
            broken = []
            for path in paths:
                try:
                    rule(path)
                except AssertionError as error:
                    broken.append(f"{name_of(path)}: {error}")
            assert not broken, "\n".join(broken)

        test.__doc__ = rule.__doc__
        return test

    return make_test


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


def test_the_orders_name_each_file_once():
    """A file that is gone, or stands twice, would leave a hole in the order."""
    found: dict[str, list[str]] = {}
    for path in ROOMS:
        if path.name != "__init__.py":
            folder = path.parent.relative_to(ROOT / PACKAGE).as_posix()
            found.setdefault("" if folder == "." else folder, []).append(path.stem)
    assert {key: sorted(stems) for key, stems in ORDER.items()} == found
    assert sorted(name for floor in FLOORS for name in floor) == sorted(
        [*ORDER[""], *filter(None, ORDER)]
    )


def contributing_rows():
    """Give the folders of each row of CONTRIBUTING.md's table, and all names in it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for row in text.partition("| folder |")[2].partition("\n\n")[0].splitlines()[2:]:
        folders, *cells = row.strip("|").split(" | ")
        names = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
        yield [name.rstrip("/") for name in re.findall(r"`([\w./]+)`", folders)], names


def test_contributing_lists_all_folders_in_their_order():
    listed = [Path(folder).stem for folders, _ in contributing_rows() for folder in folders]
    assert sorted(listed) == sorted(RANKS.keys() - {"_version"})
    ranks = [RANKS[name] for name in listed]
    assert ranks == sorted(ranks)


def test_contributing_names_what_there_is():
    """A name is that of a file of the row's folder, or is defined in one."""
    for folders, names in contributing_rows():
        rooms = {Path(folder).stem for folder in folders}
        paths = [path for path in ROOMS if room_of(path) in rooms]
        known = {path.stem for path in paths}
        for path in paths:
            text = path.read_text(encoding="utf-8")
            known |= set(re.findall(r"(?:def|class) (\w+)", text))
            known |= set(re.findall(r"^(\w+)(?:: .*)? = ", text, re.MULTILINE))
        assert set(names) <= known, f"{folders}: {sorted(set(names) - known)}"


def test_general_tests_are_there():
    assert not [name for name in GENERAL_TESTS if not (TESTS / f"test_{name}.py").is_file()]


@every_source([path for path in ROOMS if room_of(path) != "_compat"])
def test_only_compat_touches_private_scikit_learn(path):
    for name in imported(parse(path), path):
        package, *parts = name.split(".")
        if package == "sklearn":
            assert not any(part.startswith("_") for part in parts), f"imports {name}"


def is_private(name):
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC_ALL_THE_SAME


def is_self(node):
    """Tell whether an object is the one whose method this is."""
    is_super = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "super"
    return is_super or getattr(node, "id", None) in ("self", "cls")


def private_definitions(tree):
    """Give the private names that the classes and functions of a file define or set on self."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names = [node.attr] if is_self(node.value) else []
        if isinstance(node, ast.ClassDef):
            targets = [
                target
                for line in node.body
                if isinstance(line, ast.Assign | ast.AnnAssign)
                for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
            ]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
        yield from filter(is_private, names)


def private_uses(tree):
    """Give line and name of each private attribute of an object other than self.

    Also one that is named by a string, in getattr and its like or as a key of vars.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_self(node.value):
            yield node.lineno, node.attr
        if isinstance(node, ast.Call):
            function, arguments = getattr(node.func, "id", None), node.args
            if function in ("getattr", "hasattr", "setattr", "delattr"):
                yield from strings_of(arguments[1:2], arguments[0])
            elif isinstance(node.func, ast.Attribute) and is_vars(node.func.value):
                yield from strings_of(arguments[:1], node.func.value.args[0])
        if isinstance(node, ast.Subscript) and is_vars(node.value):
            yield from strings_of([node.slice], node.value.args[0])
        if isinstance(node, ast.Compare) and is_vars(node.comparators[0]):
            yield from strings_of([node.left], node.comparators[0].args[0])


def is_vars(node):
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) == "vars" and node.args


def strings_of(nodes, owner):
    """Give line and value of private names that are written as strings, unless self's."""
    for node in nodes:
        value = getattr(node, "value", None)
        if isinstance(value, str) and is_private(value) and not is_self(owner):
            yield node.lineno, value


@pytest.mark.parametrize(
    "source",
    [
        "x._y",
        "x.z._y",
        "f()._y()",
        "x._y = 1",
        "self.x._y",
        "getattr(x, '_y')",
        "vars(x)['_y']",
        "vars(x).get('_y')",
        "'_y' in vars(x)",
    ],
)
def test_a_private_use_is_found(source):
    assert list(private_uses(ast.parse(source))) == [(1, "_y")]
    assert not list(private_definitions(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["self._y", "cls._y", "super()._y", "x.__y__", "x._replace(z=1)", "getattr(x, 'y')"]
)
def test_what_is_no_private_use(source):
    assert not list(private_uses(ast.parse(source)))


def test_private_definitions():
    source = """
class A:
    _a: int
    _b = _c = 0

    def _d(self):
        x = _e = 1
        self._f = x
        self._g, self.z = x
        x._h = _e
"""
    assert set(private_definitions(ast.parse(source))) == {"_a", "_b", "_c", "_d", "_f", "_g"}


@pytest.mark.parametrize("room", sorted(RANKS))
def test_no_private_attribute_is_used_in_another_room(room):
    """A private attribute is its room's own: others go through a method or function."""
    own = {path: parse(path) for path in ROOMS if room_of(path) == room}
    defined = {name for tree in own.values() for name in private_definitions(tree)}
    allowed = defined | OF_OTHER_PACKAGES.get(room, set())
    found = [
        f"{name_of(path)}:{line} {name}"
        for path, tree in own.items()
        for line, name in private_uses(tree)
        if name not in allowed
    ]
    assert not found


@every_source(ROOMS)
def test_no_private_name_is_imported_from_another_room(path):
    for name in imported(parse(path), path):
        package, *parts = name.split(".")
        if package == PACKAGE and parts[0] != room_of(path):
            *_, last = parts
            folder = (ROOT / PACKAGE).joinpath(*parts)
            is_file = folder.is_dir() or folder.with_suffix(".py").is_file()
            assert is_file or not is_private(last), f"imports {name}"


@every_source()
def test_optional_and_slow_packages_are_imported_at_use(path):
    loaded = {name.split(".")[0] for name in imported_when_loaded(path)}
    found = loaded & AT_USE_ONLY
    assert not found, f"loads {sorted(found)}"


@every_source([path for path in ROOMS if room_of(path) in WITHOUT_TORCH])
def test_tables_and_data_know_no_torch(path):
    loaded = {name.split(".")[0] for name in imported(parse(path), path)}
    found = loaded & {"torch", "skorch"}
    assert not found, f"loads {sorted(found)}"


@every_source([path for path in SOURCES if room_of(path) != "_show_versions"])
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
            owner = ast.unparse(node.value)
            is_global = owner in ("np.random", "numpy.random", "random")
            assert not is_global, f"seeds {owner} in line {node.lineno}"


@every_source(sorted(TESTS.rglob("test_*.py")))
def test_a_test_file_has_a_source_file(path):
    name = path.stem.removeprefix("test_")
    if path.parent == TESTS and name in GENERAL_TESTS:
        return
    folder = ROOT / PACKAGE / path.parent.relative_to(TESTS)
    names = {name, name.removesuffix("_display")}
    candidates = {folder / f"{mark}{n}" for n in names for mark in ("", "_")}
    assert any(c.is_dir() or c.with_suffix(".py").is_file() for c in candidates)
