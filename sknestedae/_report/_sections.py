"""The sections of a report, each with its tables, figures and sentences."""

from __future__ import annotations

import inspect
import platform
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from .._estimators._unwrap import steps_before
from ..plotting._base import core_of, count, with_unit
from ._as_column import WIDEST_BOOSTED, earlier_targets
from ._content import (
    NOTHING,
    Bullets,
    Folded,
    Pairs,
    Part,
    Section,
    Table,
    Text,
    enumerate_words,
    fixed,
    mean_and_sd,
    number,
    package_version,
    percent,
    plain_number,
    short,
)
from ._facts import (
    LEVEL,
    NOMINAL,
    Comparison,
    Facts,
    Intervals,
    Replicates,
    baselines_of,
    best_baseline,
    counts_rows,
    equal_columns,
    leading_metric,
    n_parameters,
    reconstruction_table,
    scores_of,
    worth,
)
from ._figures import (
    MAX_PANELS,
    draw_chain,
    draw_histories,
    draw_intervals,
    draw_latents,
    draw_predictions,
    draw_reconstruction,
    draw_reliability,
    draw_targets,
)
from ._folds import AS_COLUMN, LEARNT, MODEL, MOST_BOOSTED, Evaluation, HeldOut
from ._limits import (
    ONE_FOLD,
    VERDICTS,
    count_verdicts,
    say_best,
    say_model,
    say_same_information,
    say_score,
    say_verdicts,
    with_unit_behind,
)
from ._passed import find_predictors
from ._task import FEW_TARGETS, Column, Target, Task, stages_of

_PACKAGES = ("scikit-learn", "torch", "skorch", "numpy", "scipy", "pandas")
# A longer table of columns or targets is folded away.
_MANY_ROWS = 20
# Of more kinds the rest is counted.
_MOST_KINDS = 6


# ---------------------------------------------------------------------------------------------
# At a glance, and limits


def glance(task: Task, evaluation: Evaluation, facts: Facts, n_limits: int) -> Section:
    """Return the facts that a reader wants first."""
    n_stages = f", {count(len(task.stage_names), 'stage')}" if task.stage_names else ""
    members = len(task.core.members_)
    of_members = f", an ensemble of {members}" if members > 1 else ""
    rows = [
        ("Model", f"{describe_model(task)}{n_stages}{of_members}"),
        ("Data", f"{count(task.n_samples, 'row')}, {enumerate_words(_kinds(task))}"),
        ("Held out", f"{evaluation.how}. All scores are of rows held out, unless said otherwise."),
    ]
    if task.has_many_targets:
        rows += _glance_at_many(task, evaluation, facts.comparisons)
    for target in task.targets if not task.has_many_targets else []:
        own = scores_of(evaluation, target)
        said = ", ".join(
            f"{metric} {mean_and_sd(values, _places(metric))} {_unit_of(metric, target)}".rstrip()
            for metric, values in own.items()
        )
        rows.append((target.name, said))
        beside = say_best(target, facts.comparisons[target.name])
        rows.append((f"{target.name}, beside baselines", beside))
    held = evaluation.reconstruction["held out"]
    if held.notna().any():
        rows.append(("Reconstruction", f"R² {mean_and_sd(held, 3)}"))
    rows.append(("Known limits", f"{count(n_limits, 'statement')}, below"))
    return Section("glance", "At a glance", (Pairs(tuple(rows)),))


def _glance_at_many(
    task: Task, evaluation: Evaluation, comparisons: dict[str, list[Comparison]]
) -> list[tuple[str, str]]:
    """Return the scores of many targets in a line for each kind, and their verdicts in another."""
    rows = []
    for metric, is_number in (("R²", True), ("balanced accuracy", False)):
        means = pd.Series(
            {
                target.name: scores_of(evaluation, target)[metric].mean()
                for target in task.targets
                if (target.classes is None) == is_number
            },
            dtype=float,
        )
        known = means.dropna()
        if not len(known):
            continue
        low, high = (
            f"{fixed(known[name])} ({short(name, 40)})"
            for name in (known.idxmin(), known.idxmax())
        )
        what = count(len(means), "target")
        said = f"{metric} from {low} to {high}, median {fixed(known.median())}"
        rows.append((f"{what} of {'numbers' if is_number else 'classes'}", said))
    best = [b for own in comparisons.values() if (b := best_baseline(own)) is not None]
    said = count_verdicts(best)
    rows.append(("Beside the best baseline", f"{said[:1].upper()}{said[1:]}" if best else NOTHING))
    return rows


def _kinds(task: Task) -> list[str]:
    """Count single columns and arrays."""
    n_arrays = sum(column.array is not None for column in task.columns)
    n_columns = len(task.columns) - n_arrays
    kinds = [count(n_columns, "column")] if n_columns or not n_arrays else []
    return kinds + ([count(n_arrays, "array")] if n_arrays else [])


def limits(statements: list[str]) -> Section:
    """List the statements against the model."""
    intro = Text(
        "Each statement follows from numbers on this page. What cannot be read from the data, "
        "such as how they were chosen, is not in this list."
    )
    return Section("limits", "Known limits", (intro, Bullets(tuple(statements))))


def describe_model(task: Task) -> str:
    """Name the estimator, with the steps before it."""
    names = [type(step).__name__ for step in steps_before(task.model)]
    return " → ".join([*names, type(task.core).__name__])


def _places(metric: str) -> int | None:
    """Return the number of decimal places of a score; that of an error depends on its size."""
    return None if metric == "MAE" else 3


def _unit_of(metric: str, target: Target) -> str:
    """Return the unit of a score: an error has that of the target, all others none."""
    return target.unit if metric == "MAE" else ""


# ---------------------------------------------------------------------------------------------
# Data


def data(task: Task, facts: Facts) -> Section:
    """Describe rows, targets and columns."""
    parts: list[Part] = [Text(_say_rows(task))]
    if task.targets:
        numbers = [t for t in task.targets if t.classes is None]
        if numbers:
            table = _number_targets(task, numbers)
            parts.append(_fold_long(table, f"All {len(numbers)} targets that are numbers"))
        classes = tuple(_class_targets(target) for target in task.targets if target.classes)
        is_many = len(classes) > FEW_TARGETS
        parts += [Folded(f"Classes of {len(classes)} targets", classes)] if is_many else classes
        parts.append(draw_targets(task))
    parts.append(Bullets((*_say_all_replicates(task, facts.replicates), *_say_columns(task))))
    parts.append(_fold_long(_columns(task), f"All {len(task.columns)} columns"))
    return Section("data", "Data", tuple(parts))


def _fold_long(table: Table, summary: str) -> Part:
    """Fold a table away if it is long."""
    return Folded(summary, (table,)) if len(table.rows) > _MANY_ROWS else table


def _say_rows(task: Task) -> str:
    """Count rows, columns, missing values and groups."""
    n_text = sum(column.is_categorical for column in task.columns)
    arrays = [column.array for column in task.columns if column.array is not None]
    n_number = len(task.columns) - n_text - len(arrays)
    kinds = [count(n_number, "column") + " of numbers"] if n_number else []
    kinds += [count(n_text, "column") + " of categories"] if n_text else []
    kinds += [f"an array of {say_shape(array.shape)}" for array in arrays]
    text = f"{count(task.n_samples, 'row')} with {enumerate_words(kinds)}."
    n_missing = n_values = 0
    for column in task.columns:
        if column.stage >= 0:
            measured = _measured_values(column)[task.scale >= column.stage]
            n_missing, n_values = n_missing + int((~measured).sum()), n_values + measured.size
    share = percent(n_missing / max(n_values, 1))
    text += f" {share} of the values are" if n_missing else " No value is"
    text += " missing."
    if task.has_own_rows:
        own = [
            f"{int((task.scale == k).sum()):,} of {name}"
            for k, name in enumerate(task.stage_names)
        ]
        text += (
            f" Scales have rows of their own: {enumerate_words(own)}. A value of a later scale "
            "than its row's does not count as missing."
        )
    if task.groups is not None:
        n = len(np.unique(task.groups))
        text += f" The rows are of {count(n, 'group')}, which are held out as a whole."
    return text


def say_shape(shape: tuple[int, ...]) -> str:
    """Write the shape of an array."""
    return " × ".join(map(str, shape)) + (" numbers" if len(shape) == 1 else "")  # noqa: RUF001


def _measured_values(column: Column) -> np.ndarray:
    """Return which values were measured, of shape (n_samples,); of an array, which elements."""
    return column.measured if column.elements is None else ~np.isnan(column.elements)


def _number_targets(task: Task, targets: list[Target]) -> Table:
    """Describe the targets that are numbers: how many are known, and how they are distributed."""
    rows = []
    for target in targets:
        y = target.values[~np.isnan(target.values)]  # of an array all elements
        n_known = int(target.known.sum())
        n_missing = int((~target.known)[task.own_rows(target)].sum())
        rows.append(
            (
                target.label + (f", {say_shape(target.shape)}" if target.shape else ""),
                *((target.stage_name or "",) if task.stage_names else ()),
                f"{n_known:,}",
                f"{n_missing:,}",
                plain_number(y.min()),
                plain_number(float(np.median(y))),
                plain_number(y.max()),
                number(float(y.mean())),
                number(float(y.std(ddof=1)) if len(y) > 1 else np.nan),
            )
        )
    stage = ("Stage",) if task.stage_names else ()
    header = ("Target", *stage, "Known", "Missing", "Minimum", "Median", "Maximum", "Mean", "SD")
    return Table("Targets that are numbers", header, tuple(rows), n_text=1 + len(stage))


def _class_targets(target: Target) -> Table:
    """Count the rows of each class."""
    assert target.classes is not None
    counts = np.bincount(target.values[target.known].astype(int), minlength=len(target.classes))
    rows = [
        (short(name, 60), f"{n:,}", percent(n / counts.sum()))
        for name, n in zip(target.classes, counts, strict=True)
    ]
    if not target.known.all():
        rows.append(("(missing)", f"{int((~target.known).sum()):,}", NOTHING))
    return Table(f"Classes of {target.name}", ("Class", "Rows", "Share"), tuple(rows))


def _say_all_replicates(task: Task, replicates: dict[str | None, Replicates]) -> list[str]:
    """List the rows that occur more than once, for each target or, of many, together."""
    said = {name: _say_replicates(found) for name, found in replicates.items()}
    if not task.has_many_targets:
        return [text if name is None else f"{name}: {text}" for name, text in said.items()]
    kinds: dict[str, list[str]] = {}
    for name, text in said.items():
        kinds.setdefault(text, []).append(short(name, 40))
    if len(kinds) == 1:
        return [f"For all {len(said)} targets: {text}" for text in kinds]
    common = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    lines = [f"{enumerate_words(names)}: {text}" for text, names in common[:_MOST_KINDS]]
    n_rest = sum(len(names) for _, names in common[_MOST_KINDS:])
    return [*lines, f"{count(n_rest, 'further target')}: other numbers."] if n_rest else lines


def _say_columns(task: Task) -> list[str]:
    """List columns without information, or with that of another column."""
    lines = []
    indices = [short(column.name, 40) for column in task.columns if counts_rows(task, column)]
    if indices:
        lines.append(
            f"Only counting rows: {enumerate_words(indices)}. The values are consecutive whole "
            "numbers, one in each row. An index is no property: leave it out, as it has no "
            "information about a new row."
        )
    equal = [
        enumerate_words([short(column.name, 40) for column in columns])
        for columns in equal_columns(task)
    ]
    if equal:
        rest = len(equal) - _MOST_KINDS
        said = [*equal[:_MOST_KINDS], f"{rest} further sets"] if rest > 0 else equal
        lines.append(
            f"Equal in all rows: {'; '.join(said)}. One of them has the information of all, and "
            "together they count more often in the reconstruction."
        )
    return lines


def _say_replicates(found: Replicates) -> str:
    """Count distinct rows and repeated ones, and those that the folds have on both sides."""
    text = f"{count(found.n_distinct, 'distinct row')} of {found.n_rows:,}"
    if not found.n_repeated:
        return f"{text}; none occurs twice."
    text += f"; {count(found.n_repeated, 'row')} occur more than once"
    if found.n_contradicting:
        text += f", of which {found.n_contradicting:,} have an equal row with another target"
    return f"{text}. {percent(found.leak)} of the held-out rows are equal to a training row."


def _columns(task: Task) -> Table:
    """Describe each column: its kind, its values, and how many are missing."""
    with_stage = bool(task.stage_names)
    rows = []
    for column in task.columns:
        own = task.scale >= column.stage
        stage = task.stage_names[column.stage] if with_stage and column.stage >= 0 else "none"
        kind = "categories" if column.is_categorical else "numbers"
        if column.array is not None:
            kind = f"array, {say_shape(column.array.shape)}"
        rows.append(
            (
                short(with_unit(column.name, column.unit), 80),
                *((stage,) if with_stage else ()),
                kind,
                _say_values(column),
                f"{int(column.measured[own].sum()):,}",
                percent(float(1 - _measured_values(column)[own].mean())),
            )
        )
    header = ("Column", *(("Stage",) if with_stage else ()), "Kind", "Values")
    caption = "Columns. Of numbers minimum, median and maximum; of categories the commonest"
    return Table(caption, (*header, "Measured", "Missing"), tuple(rows), n_text=len(header))


def _say_values(column: Column) -> str:
    """Write the range of numbers, or the commonest categories."""
    values = column.values.dropna()
    if not len(values):
        return "never measured"
    if not column.is_categorical:
        numbers = column.numbers[~np.isnan(column.numbers)]
        ends = (numbers.min(), float(np.median(numbers)), numbers.max())
        return "\N{NO-BREAK SPACE}…\N{NO-BREAK SPACE}".join(map(plain_number, ends))
    counts = values.value_counts()
    counts = counts[counts > 0]
    shown = [f"{short(name, 24)} ({n:,})" for name, n in counts.iloc[:3].items()]
    rest = len(counts) - len(shown)
    return f"{', '.join(shown)}{f', {rest} more' if rest else ''}"


# ---------------------------------------------------------------------------------------------
# Settings


def settings(task: Task, evaluation: Evaluation) -> Section:
    """List the settings of the estimator, its size, and versions of packages."""
    parts: list[Part] = []
    if task.stage_names:
        parts.append(draw_chain(task))
    changed: list[tuple[str, ...]] = []
    everything: list[tuple[str, ...]] = []
    described = _described(task)
    for name, estimator in described:
        for parameter, value, default in _parameters(estimator):
            row = (name, parameter, short(repr(value)), short(repr(default)))
            everything.append(row)
            if repr(value) != repr(default):  # values may be arrays, which do not compare as one
                changed.append(row)
    header: tuple[str, ...] = ("Of", "Parameter", "Value", "Default")
    if len(described) == 1:  # the same name in each row
        header = header[1:]
        changed, everything = [row[1:] for row in changed], [row[1:] for row in everything]
    if changed:
        caption = "Parameters that differ from their defaults"
        parts.append(Table(caption, header, tuple(changed), n_text=len(header)))
    else:
        parts.append(Text("All parameters have their defaults."))
    table = Table("All parameters", header, tuple(everything), n_text=len(header))
    parts.append(Folded(f"All {len(everything)} parameters", (table,)))
    parts += _predictors(task, evaluation)
    parts.append(_sizes(task))
    parts.append(Text(_versions()))
    return Section("settings", "Settings", tuple(parts))


def _described(task: Task) -> list[tuple[str, Any]]:
    """Return all estimators that have settings, by name: steps, the chain, its stages."""
    found = [(f"step {type(step).__name__}", step) for step in steps_before(task.model)]
    found.append((type(task.core).__name__, task.core))
    for name, estimator, _ in stages_of(task.core) if task.stage_names else []:
        steps = steps_before(estimator) if not isinstance(estimator, FrozenEstimator) else []
        found += [(f"stage {name}, {type(step).__name__}", step) for step in steps]
        found.append((f"stage {name}", core_of(estimator)))
    return found


def _parameters(estimator: Any) -> list[tuple[str, Any, Any]]:
    """Return name, value and default of each parameter."""
    if not hasattr(estimator, "get_params"):  # such as "passthrough"
        return []
    signature = inspect.signature(type(estimator).__init__).parameters
    return [
        (name, value, signature[name].default if name in signature else inspect.Parameter.empty)
        for name, value in estimator.get_params(deep=False).items()
        if name not in ("stages", "steps")  # they stand in the diagram, and below
    ]


def _predictors(task: Task, evaluation: Evaluation) -> list[Part]:
    """Name the predictor of each stage, where some stage may have a Gaussian process."""
    words = {"gaussian_process": "Gaussian process", "network": "network"}
    rows, is_told = [], False
    for k, found in find_predictors(task.model).items():
        name, stage, _ = stages_of(task.core)[k]
        of_folds = [own[k].kind for own in evaluation.predictors if k in own]
        is_told |= core_of(stage).predictor != "network"
        n = of_folds.count(found.kind)
        rows.append(
            (
                type(task.core).__name__ if name is None else f"stage {name}",
                words[found.kind],
                fixed(found.score),
                f"the same in {n} of {len(of_folds)}",
            )
        )
    header = ("Of", "Predictor", "R² by leave-one-out", "In the folds")
    caption = (
        "The predictors. Leave-one-out is of the Gaussian process, in the rows that it was fitted "
        "to, and is no score of rows held out"
    )
    return [Table(caption, header, tuple(rows), n_text=2)] if is_told else []


def _sizes(task: Task) -> Text:
    """Count the weights and biases of each network."""
    sizes = n_parameters(task.core)
    if not sizes:
        return Text("No stage is a network.")
    said = [f"{n:,}" + (f" in the stage {name}" if name is not None else "") for name, n in sizes]
    total = sum(n for _, n in sizes)
    text = f"Weights and biases: {enumerate_words(said)}"
    text += f", {total:,} together" if len(sizes) > 1 else ""
    members = len(task.core.members_)
    return Text(text + (f", in each of {members} members." if members > 1 else "."))


def _versions() -> str:
    """Write the versions of this package and of those that its numbers depend on."""
    others = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Versions: sknestedae {package_version()}, {others}, Python {platform.python_version()}."
    )


# ---------------------------------------------------------------------------------------------
# Scores


def scores(task: Task, evaluation: Evaluation, facts: Facts) -> Section:
    """Return the scores of model and baselines, and the verdicts that follow from them."""
    how = f"{evaluation.how}. In each fold the settings above are fitted anew to the other rows."
    rest = (
        "Baselines are fitted to the same rows as far as their target is known, with the columns "
        "up to its scale. For the linear model numbers are imputed by the mean and standardised, "
        "and categories one-hot; gradient boosting takes both as they are. Their settings are "
        "scikit-learn's, but for the strength of ridge, chosen by leave-one-out."
        + _say_many_outputs(task)
        + _say_as_column(task)
        if task.targets
        else "There is no target: the scores are those of the reconstruction."
    )
    parts: list[Part] = [Text(f"{how} {rest}")]
    every: list[Part] = []
    for target in task.targets:
        every += _scores_of_target(evaluation, target, facts.comparisons[target.name])
    if task.has_many_targets:
        parts += _scores_of_many(task, evaluation, facts.comparisons)
        every = [Folded(f"Scores of each of {len(task.targets)} targets", tuple(every))]
    parts += every
    if task.targets:
        parts.append(Text(_say_rule(task)))
    held = evaluation.reconstruction
    if held.notna().any(axis=None):
        header = ("Rows", "R² of the reconstruction", *_folds_header(len(held)))
        rows = tuple(
            (name, mean_and_sd(held[name], 3), *map(fixed, held[name]))
            for name in ("held out", "learnt from")
        )
        caption = "Reconstruction of the table from the latents: mean ± SD, and each fold"
        parts.append(Table(caption, header, rows, strong=frozenset({0})))
    return Section("scores", "Scores", tuple(parts))


def _say_many_outputs(task: Task) -> str:
    """Explain the treatment of a target that is an array, or of many targets."""
    text = ""
    if any(target.shape for target in task.targets):
        text += (
            " A target that is an array is one target: its scores are of all its elements "
            "together, R² with the deviations of each element from its own mean."
        )
    n_columns = sum(
        column.numbers.shape[1] for column in task.columns if not column.is_categorical
    )
    if text or len(task.targets) > MOST_BOOSTED or n_columns > WIDEST_BOOSTED:
        text += (
            f" Of an array, of more than {MOST_BOOSTED} numbers, and in a table of more than "
            f"{WIDEST_BOOSTED} columns, an extra-trees forest stands in for gradient boosting, as "
            "it is quicker there."
        )
    return text


def _say_as_column(task: Task) -> str:
    """Explain the baselines that have the information which a chain passes on."""
    earlier = {e.name: None for target in task.targets for e in earlier_targets(task, target)}
    if not earlier:
        return ""
    same = "all columns up to its scale are equal"
    if task.key is not None:
        same = f"{short(task.key.name, 40)} is the same"
    return (
        f" {AS_COLUMN.partition(' →')[0].capitalize()} is the usual alternative to nesting, and "
        "has the same information as the chain: beside the columns stands the property of an "
        f"earlier scale ({enumerate_words([short(name, 40) for name in earlier])}). It is the "
        f"measured value of a training row if {same}; where there is none, it is predicted by "
        "an extra-trees forest fitted to that scale's training rows. A training row does not "
        "get its own value, as that of a new row would not be known: its value is found, or "
        "predicted, from the other four of five parts."
    )


def _say_rule(task: Task) -> str:
    """Explain the rule by which a model is called better or worse."""
    metrics = enumerate_words(list(dict.fromkeys(map(leading_metric, task.targets))))
    return (
        f"This page says better or worse by one rule: the differences in {metrics} between "
        "this model and a baseline, on the same folds, are put to the corrected resampled t-test "
        "(C. Nadeau and Y. Bengio, Machine Learning 52, 239, 2003), two-sided at "
        f"{percent(LEVEL)}. It allows for folds that learn from the same rows. It does not allow "
        "for the number of comparisons, it cannot decide from one fold, and models that are not "
        "told apart need not be equal. The other scores are not used."
    )


def _scores_of_many(
    task: Task, evaluation: Evaluation, comparisons: dict[str, list[Comparison]]
) -> list[Part]:
    """Return a row for each target, and count the verdicts on each baseline."""
    parts: list[Part] = []
    for kind in ("numbers", "classes"):
        targets = [t for t in task.targets if (t.classes is None) == (kind == "numbers")]
        if not targets:
            continue
        metrics = list(scores_of(evaluation, targets[0]))
        rows = []
        for target in targets:
            own, best = scores_of(evaluation, target), best_baseline(comparisons[target.name])
            if best is None:
                beside = [NOTHING] * 3
            else:
                score = say_score(best.metric, best.baseline_score)
                verdict = VERDICTS[best.verdict] if best.n_folds > 1 else ONE_FOLD
                beside = [best.baseline, score, verdict]
            means = [mean_and_sd(own.get(m, []), _places(m)) for m in metrics]
            rows.append((short(target.label, 60), *means, *beside))
        leading = leading_metric(targets[0])
        header = ("Target", *metrics, "Best baseline", f"Its {leading}", "This model is")
        caption = f"Targets of {kind}: mean ± SD over {count(len(evaluation.splits), 'fold')}"
        caption += ", MAE in the unit of each" if kind == "numbers" else ""
        summary = f"Scores of {len(targets)} targets of {kind}"
        parts.append(_fold_long(Table(caption, header, tuple(rows)), summary))
        own_comparisons = [c for target in targets for c in comparisons[target.name]]
        lines = []
        for name in dict.fromkeys(c.baseline for c in own_comparisons):
            counted = count_verdicts([c for c in own_comparisons if c.baseline == name])
            lines.append(f"By {leading} this model is, beside {say_model(name)}, {counted}.")
        parts.append(Bullets(tuple(lines)))
    return parts


def _folds_header(n_folds: int) -> list[str]:
    """Name the folds, from 1."""
    return [f"Fold {k + 1}" for k in range(n_folds)]


def _scores_of_target(
    evaluation: Evaluation, target: Target, comparisons: list[Comparison]
) -> list[Part]:
    """Return a table of means, the verdicts, and each fold folded away."""
    names = [MODEL, *baselines_of(evaluation, target), LEARNT]
    by_model = {name: scores_of(evaluation, target, name) for name in names}
    found = list(by_model[MODEL])
    header = ("Model", *(with_unit(m, _unit_of(m, target)) for m in found))
    rows = tuple(
        (name, *(mean_and_sd(by_model[name].get(m, []), _places(m)) for m in found))
        for name in names
    )
    n_folds = len(evaluation.splits)
    caption = f"{target.name}: mean ± SD over {count(n_folds, 'fold')}"
    parts: list[Part] = [Table(caption, header, rows, strong=frozenset({0}))]
    if comparisons:
        said = (say_verdicts(target, comparisons), say_same_information(comparisons))
        parts.append(Bullets(tuple(filter(None, said))))
    tables = []
    for metric in found:
        by_fold = []
        for name, own in by_model.items():
            if metric in own:
                of_folds = own[metric].reindex(range(n_folds))
                by_fold.append((name, *(say_score(metric, value) for value in of_folds)))
        caption = f"{target.name}: {with_unit(metric, _unit_of(metric, target))} of each fold"
        tables.append(
            Table(
                caption, ("Model", *_folds_header(n_folds)), tuple(by_fold), strong=frozenset({0})
            )
        )
    parts.append(Folded(f"{target.name}: scores of each fold", tuple(tables)))
    return parts


# ---------------------------------------------------------------------------------------------
# Figures with their numbers


def training(task: Task) -> Section | None:
    """Draw the losses."""
    pictures = draw_histories(task)
    return Section("training", "Training", tuple(pictures)) if pictures else None


def latents(task: Task, rng: np.random.RandomState) -> Section:
    """Draw the latents."""
    return Section("latents", "Latent space", tuple(draw_latents(task, rng)))


def predictions(
    task: Task, evaluation: Evaluation, facts: Facts, rng: np.random.RandomState
) -> Section | None:
    """Draw predictions against the truth."""
    pictures: list[Part] = []
    chosen = _targets_to_draw(task, evaluation)
    if len(chosen) < len(task.targets):
        names = enumerate_words([short(task.targets[k].name, 40) for k in chosen])
        pictures.append(
            Text(
                f"Here and under Calibration, figures are of the {len(chosen)} of "
                f"{len(task.targets)} targets that are predicted worst: {names}."
            )
        )
    for k in chosen:
        target, held_out = task.targets[k], evaluation.held_out[k]
        found, note = facts.replicates[target.name], ""
        if found.leak > 0:
            note = (
                f" {percent(found.leak)} of the held-out rows are equal to a training row, so "
                "that errors on new rows may be larger than those drawn."
            )
        if found.n_contradicting and target.classes is None:
            floor = with_unit_behind(found.floor, target.unit)
            note += (
                " Equal rows have one prediction and several measured values, which makes bands: "
                f"no model of these columns can have a mean absolute error below "
                f"{floor} here."
            )
        pictures.append(draw_predictions(k, target, held_out, note, rng))
        pictures += _by_what_was_passed(target, held_out)
    return Section("predictions", "Predictions", tuple(pictures)) if pictures else None


def _by_what_was_passed(target: Target, held_out: HeldOut) -> list[Part]:
    """Count held-out rows with a measured or predicted value passed on; with their errors."""
    if held_out.passed is None or np.isnan(held_out.passed).all() or target.shape:
        return []
    error = np.abs(held_out.truth - held_out.predicted)
    kinds = {
        "its measured value": held_out.passed == 1,
        "a predicted value": held_out.passed == 0,
        "nothing, as the network predicts": np.isnan(held_out.passed),
    }
    rows = tuple(
        (name, f"{own.sum():,}", number(error[own].mean()) if own.any() else NOTHING)
        for name, own in kinds.items()
        if own.any() or not name.startswith("nothing")
    )
    header = ("Passed on", "Rows held out", with_unit("MAE", target.unit))
    caption = (
        f"{target.name}: rows by the value that the earlier scale passed on. New rows are "
        "like those with a measured value only if the earlier scale has measured them"
    )
    return [Table(caption, header, rows)]


def _targets_to_draw(task: Task, evaluation: Evaluation) -> list[int]:
    """Return the positions of targets that have figures: all or, of very many, the worst."""
    positions = list(range(len(task.targets)))
    if len(positions) <= MAX_PANELS:
        return positions
    value = np.array([worth(evaluation, target) for target in task.targets])
    return sorted(np.argsort(value, kind="stable")[:FEW_TARGETS].tolist())  # NaN comes last


def calibration(task: Task, evaluation: Evaluation, facts: Facts) -> Section | None:
    """Describe the calibration of probabilities, spreads and prediction intervals."""
    parts: list[Part] = []
    chosen = _targets_to_draw(task, evaluation)
    if len(chosen) < len(task.targets):
        parts += _intervals_of_many(task, facts.by_residual)
    for k in chosen:
        target, held_out = task.targets[k], evaluation.held_out[k]
        curve = facts.curves[target.name]
        if curve is not None:
            word = "surer" if curve.excess > 0 else "less sure"
            parts += [
                Text(
                    f"{target.name}: the probability of the predicted class and the share that is "
                    f"right differ by {number(curve.error, 2)} on average over the bins (expected "
                    f"calibration error); taken over all rows the model is {word} than it is "
                    f"right, by {number(abs(curve.excess), 2)}."
                ),
                draw_reliability(k, target, curve),
            ]
            continue
        residual, spread = facts.by_residual[target.name], facts.by_spread[target.name]
        is_process = evaluation.has_process(target)
        if residual is not None:
            parts.append(_interval_table(target, residual, "residuals"))
        if spread is not None:
            parts.append(_interval_table(target, spread, "process" if is_process else "members"))
        picture = draw_intervals(k, target, held_out, residual, spread, is_process)
        parts += [picture] if picture is not None else []
    if any(intervals is not None for intervals in facts.by_residual.values()):
        parts.append(
            Text(
                "Prediction intervals by residuals: the half-width for the rows of a fold is a "
                "quantile of the absolute residuals of all other folds. It is the same for all "
                "rows of a fold, and holds for rows such as these, split as they were split here. "
                + (
                    "The standard deviation of a Gaussian process is one of a new measurement, "
                    "and of each row."
                    if any(map(evaluation.has_process, task.targets))
                    else "The estimator itself gives no prediction interval."
                )
            )
        )
    return Section("calibration", "Calibration", tuple(parts)) if parts else None


def _intervals_of_many(task: Task, by_residual: dict[str, Intervals | None]) -> list[Part]:
    """Return one prediction interval of each target that is a number."""
    rows, level = [], len(NOMINAL) // 2
    for target in task.targets:
        found = by_residual[target.name]
        if found is not None:
            half = f"± {with_unit_behind(found.half_width[level], target.unit)}"
            rows.append((short(target.name, 60), percent(found.actual[level]), half))
    if not rows:
        return []
    header = ("Target", "Rows within, held out", "Half-width, mean")
    caption = f"Prediction intervals of {percent(NOMINAL[level])} by residuals of the other folds"
    summary = f"Prediction intervals of {len(rows)} targets"
    return [_fold_long(Table(caption, header, tuple(rows)), summary)]


def _interval_table(target: Target, intervals: Intervals, kind: str) -> Table:
    """Return nominal and actual shares of rows within prediction intervals, and half-widths."""
    unit = f" ({target.unit})" if target.unit else ""
    rows = []
    for k, (nominal, actual, half) in enumerate(zip(*intervals[:3], strict=True)):
        share = percent(nominal)
        of = " of members" if kind == "members" else ""
        name = share if kind == "residuals" else f"± {k + 1} SD{of} ({share} of a Gaussian)"
        rows.append((name, percent(actual), f"± {number(half)}"))
    what = {
        "residuals": "residuals of the other folds",
        "members": "the spread of the members",
        "process": "the standard deviation of the Gaussian process",
    }[kind]
    header = ("Nominal", "Rows within, held out", f"Half-width{unit}, mean")
    return Table(f"{target.name}: prediction intervals by {what}", header, tuple(rows))


def reconstruction(task: Task, evaluation: Evaluation) -> Section | None:
    """Return the error of each column's reconstruction."""
    table = reconstruction_table(task, evaluation)
    if not len(table):
        return None
    quality = table["r2"].fillna(table["accuracy"])
    chosen = sorted(quality.sort_values(kind="stable").index[:MAX_PANELS])
    parts: list[Part] = [draw_reconstruction(task, evaluation, chosen)]
    if table["pca"].notna().any():
        better = (table["pca"] > quality).sum()
        both = table["pca"].notna().sum()
        parts.append(
            Text(
                "As many principal components as there are latents, of the same table imputed by "
                f"means, standardised and one-hot, give {better} of {both} columns back better. "
                "They need not serve a target."
            )
        )
    header = ("Column", "Measured", "MAE", "R²", "Right", "Commonest", "Principal components")
    rows = [_reconstruction_row(task.columns[j], row) for j, row in table.iterrows()]
    used = [i for i in range(len(header)) if any(row[i] != NOTHING for row in rows)]
    caption = "Reconstruction of each column, of rows while they were held out"
    if table["accuracy"].notna().any():
        caption += (
            ". Right: share of categories given back; commonest: share of the commonest category"
        )
    full = Table(
        caption,
        tuple(header[i] for i in used),
        tuple(tuple(row[i] for i in used) for row in rows),
    )
    parts.append(_fold_long(full, f"All {len(rows)} columns"))
    return Section("reconstruction", "Reconstruction", tuple(parts))


def _reconstruction_row(column: Column, row: pd.Series) -> tuple[str, ...]:
    """Write the errors of one column, as the header of the table has them."""
    name, n = short(column.name, 80), f"{int(row['n']):,}"
    if column.is_categorical:
        shares = (percent(row[kind]) for kind in ("accuracy", "majority", "pca"))
        return (name, n, NOTHING, NOTHING, *shares)
    error = with_unit_behind(row["mae"], column.unit)
    return (name, n, error, fixed(row["r2"]), NOTHING, NOTHING, fixed(row["pca"]))
