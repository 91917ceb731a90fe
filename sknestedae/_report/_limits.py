"""Known limits of the model, in sentences that follow from numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator

from .._tables._splits import row_keys
from ..plotting._base import core_of, count
from ._content import NOTHING, enumerate_words, fixed, number, percent, short
from ._facts import (
    LEVEL,
    Comparison,
    Facts,
    Intervals,
    Reliability,
    Replicates,
    best_baseline,
    n_parameters,
    reconstruction_table,
    scores_of,
)
from ._folds import AS_COLUMN, HIGHER_IS_BETTER, LEARNT, Evaluation
from ._task import Target, Task, stages_of

# Below these numbers something is called few.
FEW_IN_CLASS = 10
FEW_MEASURED = 0.5
FEW_HELD_OUT = 20
# A column, of which this share is one value, tells rows hardly apart.
_MOSTLY_ONE = 0.99

ONE_FOLD = "one fold cannot tell"
# The verdict on a model beside a baseline, by Comparison.verdict.
VERDICTS = {-1: "worse", 0: "not told apart", 1: "better"}
# Behind a baseline that has an earlier property as a column, and is better.
_SAME_INFORMATION = "It has the same information as the chain: nesting does not pay here."
# How a baseline is called within a sentence.
_ARTICLES = {
    "median": "the median",
    "most frequent class": "the most frequent class",
    "extra-trees forest": "an extra-trees forest",
}


def say_model(name: str) -> str:
    """Write the name of a baseline within a sentence."""
    if name.startswith(AS_COLUMN):
        return f"{say_model(name.removeprefix(AS_COLUMN))} with the predicted property as a column"
    return _ARTICLES.get(name, name)


def say_score(metric: str, value: float, unit: str = "") -> str:
    """Write a score: an error with its unit, all others with three places."""
    return with_unit_behind(value, unit) if metric == "MAE" else fixed(value)


def say_comparison(comparison: Comparison, unit: str) -> str:
    """Write the scores of two models, and in how many folds the first is better or worse."""
    c = comparison
    scores = f"{say_score(c.metric, c.model_score, unit)} against "
    scores += say_score(c.metric, c.baseline_score, unit)
    if c.n_folds == 1:
        return f"{scores}, in the one fold"
    if not c.verdict:
        return f"{scores}, better in {c.n_better} and worse in {c.n_worse} of {c.n_folds} folds"
    word, n = ("worse", c.n_worse) if c.verdict < 0 else ("better", c.n_better)
    return f"{scores}, {word} in {n} of {c.n_folds} folds"


def with_unit_behind(value: float, unit: str) -> str:
    """Write a number with its unit."""
    return f"{number(value)} {unit}".strip()


def say_verdicts(target: Target, comparisons: list[Comparison]) -> str:
    """Write the verdicts on baselines; those that are better than the model come first."""
    metric = comparisons[0].metric
    if comparisons[0].n_folds == 1:
        said = [f"{say_model(c.baseline)} ({say_comparison(c, target.unit)})" for c in comparisons]
        return (
            f"By {metric}, {ONE_FOLD} whether this model is better than {enumerate_words(said)}."
        )
    parts = []
    for verdict in VERDICTS:
        own = [c for c in comparisons if c.verdict == verdict]
        said = [f"{say_model(c.baseline)} ({say_comparison(c, target.unit)})" for c in own]
        if said:
            parts.append(f"{_beside(verdict)} {enumerate_words(said)}")
    return f"By {metric} this model is {'; '.join(parts)}."


def say_best(target: Target, comparisons: list[Comparison]) -> str:
    """Compare the model with the best baseline, in a sentence."""
    best = best_baseline(comparisons)
    if best is None:
        return NOTHING
    said = f"{best.metric} {say_comparison(best, target.unit)}"
    if best.n_folds == 1:
        return (
            f"{ONE_FOLD.capitalize()} which is better. The best of them is "
            f"{say_model(best.baseline)}: {said}."
        )
    beside = _beside(best.verdict).capitalize()
    return f"{beside} {say_model(best.baseline)}, the best of them: {said}."


def say_same_information(comparisons: list[Comparison]) -> str:
    """Write whether a baseline with the chain's information is better; nothing without one."""
    own = [c for c in comparisons if c.baseline.startswith(AS_COLUMN)]
    if not own or own[0].n_folds == 1:
        return ""
    worse, open_ = (
        [say_model(c.baseline) for c in own if c.verdict == verdict] for verdict in (-1, 0)
    )
    if worse:
        return f"Better than the chain, with the same information: {enumerate_words(worse)}."
    said = "No baseline with the same information as the chain is called better"
    return f"{said}; not told apart from it: {enumerate_words(open_)}." if open_ else f"{said}."


def _beside(verdict: int) -> str:
    """Write a verdict in front of the name of a baseline."""
    return f"{VERDICTS[verdict]} {'than' if verdict else 'from'}"


def count_verdicts(comparisons: list[Comparison]) -> str:
    """Write for how many targets the model is better, equal within error, and worse."""
    told = [c.verdict for c in comparisons if c.n_folds > 1]
    parts = [
        f"{VERDICTS[verdict]} for {told.count(verdict)}"
        for verdict in (1, 0, -1)
        if verdict in told
    ]
    if len(told) < len(comparisons):
        parts.append(f"{ONE_FOLD} for {len(comparisons) - len(told)}")
    return f"{', '.join(parts)} of {count(len(comparisons), 'target')}"


class Finding(NamedTuple):
    """A statement about one target, which may have others like it.

    Parameters
    ----------
    target, said : str
        Name of the target, and the whole statement.
    alike : str
        The part that all statements of its kind have in common, behind "For 3 of 8 targets".
    size : float
        Larger where it is worse.
    """

    target: str
    said: str
    alike: str
    size: float


def find_limits(task: Task, evaluation: Evaluation, facts: Facts) -> list[str]:
    """Return all statements, those on the scores first."""
    found: list[Finding] = []
    for target in task.targets:
        found += _of_baselines(target, facts.comparisons[target.name])
    for name, repeated in facts.replicates.items():
        found += _of_replicates(task, name, repeated)
    for target in task.targets:
        found += _of_overfitting(task, evaluation, target)
        found += _of_folds(evaluation, target)
        by_spread, curve = facts.by_spread[target.name], facts.curves[target.name]
        found += _of_calibration(target, by_spread, curve, evaluation.has_process(target))
        found += _of_target(target, task)
    statements = (
        _put_together(found, len(task.targets))
        if task.has_many_targets
        else [finding.said for finding in found]
    )
    statements += _of_reconstruction(task, evaluation)
    statements += _of_columns(task)
    statements += _of_settings(task)
    statements += [
        f"In the folds a warning was given. {short(text, 300)}" for text in evaluation.messages
    ]
    return statements


def _put_together(found: list[Finding], n_targets: int) -> list[str]:
    """Make one statement of those that are alike: the number of targets, and the worst."""
    kinds: dict[str, list[Finding]] = {}
    for finding in found:
        kinds.setdefault(finding.alike, []).append(finding)
    statements = []
    for alike, own in kinds.items():
        worst = max(own, key=lambda finding: finding.size)
        if len(own) == 1:
            statements.append(worst.said)
            continue
        if len(own) == n_targets:
            which = f"all {n_targets} targets"
        else:
            names = enumerate_words([short(finding.target, 40) for finding in own])
            which = f"{len(own)} of {n_targets} targets ({names})"
        # what is alike stands before it, and need not be said again of the worst
        said = worst.said.replace(f": {alike}: ", ": ", 1)
        statements.append(f"For {which} {alike}. The worst is {said}")
    return statements


# ---------------------------------------------------------------------------------------------
# Scores


def _prefix(target: Target) -> str:
    return f"{target.name}: "


def _of_baselines(target: Target, comparisons: list[Comparison]) -> Iterator[Finding]:
    """Name the baselines that are better than the model, then those not told apart from it."""
    if not comparisons:
        return
    if comparisons[0].n_folds == 1:
        said = f"{_prefix(target)}{say_verdicts(target, comparisons)}"
        yield Finding(target.name, said, f"{ONE_FOLD} whether a baseline is better", 0.0)
        return
    for verdict in (-1, 0):
        for c in comparisons:
            if c.verdict != verdict:
                continue
            name = say_model(c.baseline)
            alike = (
                f"{name} is better than this model"
                if verdict < 0
                else f"this model and {name} cannot be told apart"
            )
            said = f"{_prefix(target)}{alike}: {c.metric} {say_comparison(c, target.unit)}"
            if not verdict:  # all folds may agree, and yet be too few
                ends = (
                    f"{say_score(c.metric, c.low)} to {say_score(c.metric, c.high, target.unit)}"
                )
                said += f"; better by {ends} ({percent(1 - LEVEL)} confidence interval)"
            said += "."
            if verdict < 0 and c.baseline.startswith(AS_COLUMN):
                said += f" {_SAME_INFORMATION}"
            size = abs(c.model_score) + abs(c.baseline_score)
            yield Finding(target.name, said, alike, -c.gain / size if size else 0.0)


def _of_replicates(task: Task, name: str | None, found: Replicates) -> Iterator[Finding]:
    """Report rows that are equal across folds, and the bound by rows with several targets."""
    where = "" if name is None else f"{name}: "
    if found.leak > 0:
        remedy = (
            "The groups given do not keep them together."
            if task.groups is not None
            else "No groups were given; with groups, equal rows stay in one fold."
        )
        said = (
            f"{where}{percent(found.leak)} of the held-out rows are equal, in all columns, to a "
            "training row: the scores are about known rows more than about new ones. "
            f"{remedy}"
        )
        alike = "some rows held out are equal, in all columns, to a training row"
        yield Finding(name or "", said, alike, found.leak)
    if found.n_contradicting:
        target = next(t for t in task.targets if t.name == name)
        if target.classes is not None:
            bound = f"no model of these columns can have an accuracy above {fixed(found.ceiling)}"
        else:
            error = with_unit_behind(found.floor, target.unit)
            bound = f"no model of these columns can have a mean absolute error below {error}"
            if np.isfinite(found.ceiling):
                bound += f", or R² above {fixed(found.ceiling)},"
        said = (
            f"{where}{count(found.n_contradicting, 'row')} of {found.n_rows:,} are equal to "
            f"another in all columns and have another target: {bound} on these rows."
        )
        alike = "some rows are equal to another in all columns and have another target"
        yield Finding(name or "", said, alike, found.n_contradicting / found.n_rows)


def _of_overfitting(task: Task, evaluation: Evaluation, target: Target) -> Iterator[Finding]:
    """Report overfitting: errors on held-out rows far above those on training rows."""
    if evaluation.has_process(target):
        return  # it goes through the points that it learnt from, and may be right between them
    own, learnt = (scores_of(evaluation, target, m) for m in ("this model", LEARNT))
    metric = "MAE" if target.classes is None else "accuracy"
    held, known = own[metric], learnt[metric].reindex(own[metric].index)
    error, error_known = (held, known) if metric == "MAE" else (1 - held, 1 - known)
    excess = float((error - error_known).mean())
    spread = float(error.std(ddof=1)) if len(error) > 1 else 0.0
    # clear of the scatter between folds, and of the little that any model loses on new rows
    if not (excess > spread and error.mean() > 1.5 * error_known.mean()):
        return
    stops = [getattr(core_of(e), "early_stopping", None) for _, e, _ in stages_of(task.core)]
    stop = "" if True in stops else " Early stopping was not asked for."
    alike = "the model overfits"
    said = (
        f"{_prefix(target)}{alike}: {metric} "
        f"{say_score(metric, known.mean(), target.unit)} on the rows it learnt from, "
        f"{say_score(metric, held.mean(), target.unit)} on rows held out.{stop}"
    )
    yield Finding(target.name, said, alike, float(excess / error.mean()))


def _of_folds(evaluation: Evaluation, target: Target) -> Iterator[Finding]:
    """Name folds that are small, scores below a constant's, and scores that depend on the fold."""
    own = scores_of(evaluation, target)
    n_held = [int(target.known[test].sum()) for _, test in evaluation.splits]
    if min(n_held) < FEW_HELD_OUT:
        said = (
            f"{_prefix(target)}folds hold out as few as {count(min(n_held), 'known value')}; the "
            "score of such a fold is mostly chance."
        )
        alike = f"folds hold out fewer than {FEW_HELD_OUT} known values"
        yield Finding(target.name, said, alike, -min(n_held))
    if "R²" in own and (own["R²"] < 0).any():
        n = int((own["R²"] < 0).sum())
        said = (
            f"{_prefix(target)}in {n} of {count(len(own['R²']), 'fold')} R² is below 0 (lowest: "
            f"{fixed(own['R²'].min())}): there the model is worse than the mean of the fold."
        )
        yield Finding(target.name, said, "R² is below 0 in some folds", -float(own["R²"].min()))
    for metric, values in own.items():
        values = values.dropna()
        sign = 1 if HIGHER_IS_BETTER[metric] else -1
        if len(values) > 1 and metric != "log loss" and np.ptp(values) > 0.5 * abs(values.mean()):
            worst, best = (sign * values).min() * sign, (sign * values).max() * sign
            alike = f"{metric} depends on the fold"
            said = (
                f"{_prefix(target)}{alike}: from "
                f"{say_score(metric, worst, target.unit)} in the worst to "
                f"{say_score(metric, best, target.unit)} in the best."
            )
            mean = abs(values.mean())
            yield Finding(
                target.name, said, alike, float(np.ptp(values) / mean) if mean else np.inf
            )


def _of_calibration(
    target: Target, by_spread: Intervals | None, curve: Reliability | None, is_process: bool
) -> Iterator[Finding]:
    """Report standard deviations or probabilities of classes that are too sure."""
    if by_spread is not None and by_spread.actual[1] < by_spread.nominal[1] - 0.05:
        alike = "the members agree more than they are right"
        if is_process:
            alike = "the Gaussian process is surer than it is right"
        of = "it gives" if is_process else "of the members"
        what = "elements" if target.shape else "rows"
        said = (
            f"{_prefix(target)}{alike}: "
            f"{percent(by_spread.actual[1])} of the held-out {what} lie within ± 2 standard "
            f"deviations {of}, where {percent(by_spread.nominal[1])} would be if the "
            "spread were the size of the error."
        )
        yield Finding(target.name, said, alike, -float(by_spread.actual[1]))
    if curve is not None and abs(curve.excess) > 0.05:
        word = "more" if curve.excess > 0 else "less"
        alike = f"the model is {word} sure than it is right"
        said = (
            f"{_prefix(target)}{alike}: the mean probability of "
            "the predicted class differs from the share that is right by "
            f"{number(abs(curve.excess), 2)}."
        )
        yield Finding(target.name, said, alike, abs(curve.excess))


# ---------------------------------------------------------------------------------------------
# Data


def _of_target(target: Target, task: Task) -> Iterator[Finding]:
    """Count missing values of a target, and rows of its classes."""
    own = task.own_rows(target)
    missing = float(1 - target.known[own].mean())
    if missing > 0:
        n = int((~target.known[own]).sum())
        said = (
            f"{_prefix(target)}the target is missing in {n:,} of {own.sum():,} rows "
            f"({percent(missing)}); the scores say nothing about those."
        )
        yield Finding(target.name, said, "the target is missing in some rows", missing)
    if target.classes is None:
        return
    counts = np.bincount(target.values[target.known].astype(int), minlength=len(target.classes))
    few = [(target.classes[c], n) for c, n in enumerate(counts) if n < FEW_IN_CLASS]
    if few:
        said = enumerate_words([f"{short(name, 40)} ({n})" for name, n in few])
        said = f"{_prefix(target)}classes with fewer than {FEW_IN_CLASS} rows: {said}."
        alike = f"there are classes with fewer than {FEW_IN_CLASS} rows"
        yield Finding(target.name, said, alike, len(few))
    share = counts.max() / counts.sum()
    if share > 0.8:
        said = (
            f"{_prefix(target)}{percent(share)} of the rows are of the class "
            f"{short(target.classes[int(counts.argmax())], 40)}, so that accuracy says little."
        )
        yield Finding(target.name, said, "most rows are of one class", float(share))


def _of_columns(task: Task) -> Iterator[str]:
    """Name columns that are hardly measured, that hardly vary, or that have rare categories."""
    few, same, rare = [], [], []
    for column in task.columns:
        if column.stage < 0:
            continue
        own = task.scale >= column.stage
        name = short(column.name, 40)
        share = column.measured[own].mean()
        if share < FEW_MEASURED:
            few.append(f"{name} ({percent(share)})")
        values = column.values[own].dropna()
        if len(values) and column.array is None:
            counts = values.value_counts()
            if counts.iloc[0] / len(values) > _MOSTLY_ONE:
                same.append(name)
            n_rare = int((counts[counts > 0] < 5).sum())
            if column.is_categorical and n_rare:
                rare.append(f"{name} ({n_rare} of {int((counts > 0).sum())})")
    if few:
        yield f"Columns that are measured in less than half of their rows: {enumerate_words(few)}."
    if same:
        yield (
            f"Columns that have one value in more than {percent(_MOSTLY_ONE)} of their rows: "
            f"{enumerate_words(same)}."
        )
    if rare:
        yield f"Columns with categories of fewer than 5 rows: {enumerate_words(rare)}."


def _of_reconstruction(task: Task, evaluation: Evaluation) -> Iterator[str]:
    """Report what the latents lose, and a reconstruction of held-out rows that is far worse."""
    table = reconstruction_table(task, evaluation)
    lost = [task.columns[j].name for j in table.index[table["r2"] <= 0]]
    if lost:
        yield (
            "Columns that come back from the latents no better than as their mean (R² not above "
            f"0, on rows held out): {enumerate_words(lost)}. Expect no more than the mean "
            "from inverse_transform and complete there; more latents may keep them."
        )
    held, learnt = evaluation.reconstruction.mean()
    if np.isfinite(held) and 1 - held > 1.5 * (1 - learnt) and learnt - held > 0.02:
        yield (
            "The latents keep the training rows better than others: R² of the reconstruction "
            f"{fixed(learnt)} there, {fixed(held)} on rows held out."
        )


# ---------------------------------------------------------------------------------------------
# Settings


def _of_settings(task: Task) -> Iterator[str]:
    """Name settings that limit the meaning of the scores, or that another fit repeats them."""
    n_distinct = len(np.unique(row_keys(task.frame())))
    sizes = n_parameters(task.core)
    n_weights = sum(n for _, n in sizes)
    if n_weights > n_distinct:
        yield (
            f"There are {count(n_weights, 'parameter')} to learn and {n_distinct:,} distinct "
            f"rows, {number(n_distinct / n_weights, 2)} of a row per parameter: only the "
            "penalties and the number of epochs keep the model from overfitting."
        )
    if task.search is not None:
        n = len(task.search.cv_results_["params"])
        yield (
            f"The settings are the best of {count(n, 'candidate')} of a search. If it saw these "
            "rows, the scores here are too good, as the rows held out had their say in the choice."
        )
    frozen = [name for name, e, _ in stages_of(task.core) if isinstance(e, FrozenEstimator)]
    if frozen:
        yield (
            f"Frozen stages ({enumerate_words(list(map(str, frozen)))}) were not fitted anew in "
            "the folds. If they saw these rows, the scores here are too good."
        )
    seeds = [getattr(core_of(e), "random_state", None) for _, e, _ in stages_of(task.core)]
    if None in seeds and getattr(task.core, "random_state", None) is None:
        yield "random_state is not set: another fit gives other numbers."
    devices = {
        str(next(net.module_.parameters()).device)
        for _, e, _ in stages_of(task.core)
        if (net := getattr(core_of(e), "net_", None)) is not None
    }
    if devices - {"cpu"}:
        yield (
            f"The model was trained on {', '.join(sorted(devices))}; another device gives numbers "
            "that differ in the last digits, and with many epochs by more."
        )
    ranges = "Rows outside the ranges and categories listed under Data are extrapolation"
    yield (
        f"{ranges}, and so are rows of another origin than these: no number on this page is about "
        "the model's errors there."
    )
