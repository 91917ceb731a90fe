"""A display of structures whose atoms are coloured by a score."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from .._ambient import isolated_but_output
from .._atoms._elements import RADIUS, element_values, symbol_of
from .._estimators._unwrap import check_one_table
from .._tables._input import to_pandas
from .._tables._structures import Structure, is_structure, read_structure
from ..blocks._drawing import color_limits
from ..inspection import atom_scores
from ._base import MISSING_COLOR, colorbar_beside, combine_styles, make_axes, shorten, with_unit
from ._structures import has_structures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap

# More panels than this are drawn only if they are asked for.
_MAX_PANELS = 24
_DIVERGING, _SEQUENTIAL = "RdBu_r", "viridis"
# An atom is drawn with this share of its covalent radius, so that those behind can be seen.
_SHRINK = 0.6
# With more atoms than this the symbols would hide them.
_MAX_SYMBOLS = 60
# Elevation and azimuth of crystals, in degrees: a face in front, the others to be seen.
_VIEW_OF_CRYSTALS = (14.0, 20.0)
# By how much molecules are turned out of their flattest view, about the axes to the right and up,
# in degrees: an atom behind another one of a mirror image is seen.
_TURN_OF_MOLECULES = (12.0, 18.0)
# An atom so near to a face of the cell, as a share of it, is drawn on the opposite face as well.
_ON_FACE = 1e-3


class AtomsDisplay:
    """Structures whose atoms are coloured by a score, with a panel for each score.

    Atoms are circles with their covalent radii, those in front on top of those behind. Of a
    crystal the cell is drawn, and atoms on its faces, edges and corners stand on all of them.
    Several scores of one structure stand side by side: an atom's share of a prediction, its
    attention and the effect of its deletion are three things. Scores that have both signs are
    coloured around 0.

    It is recommended to use :func:`~sknestedae.plotting.AtomsDisplay.from_estimator` or
    :func:`~sknestedae.plotting.AtomsDisplay.from_scores` to create a display. All parameters are
    stored as attributes.

    Parameters
    ----------
    structures : list of structures
        ``ase.Atoms``, or structures or molecules of pymatgen.
    scores : list of DataFrame of shape (n_atoms, n_scores)
        Scores of the atoms of each structure; NaN is grey.
    names : list of str, default=None
        Names of the structures. None: no names are drawn.
    units : dict, default=None
        Unit of each score, by name; those without a unit can be left out.

    Attributes
    ----------
    artists_ : list of list of matplotlib Circle
        Of each panel the circles, the farthest first.
    atoms_ : list of list of int
        Of each panel, the atom of each circle, counted from 0.
    colorbars_ : list of matplotlib Colorbar
        One a panel.
    axes_ : ndarray of shape (n_structures * n_scores,) of matplotlib Axes
        Axes of the panels: all scores of the first structure, then those of the next.
    figure_ : matplotlib Figure
        Figure with the panels.

    See Also
    --------
    AtomsDisplay.from_estimator : Score the atoms of structures, and draw them.
    AtomsDisplay.from_scores : Draw scores that were computed before.
    sknestedae.inspection.atom_scores : The scores.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from ase.build import molecule
    >>> from sknestedae.plotting import AtomsDisplay
    >>> display = AtomsDisplay.from_scores(molecule("H2O"), [0.8, 0.1, 0.1], label="share")
    >>> sorted(display.atoms_[0])  # drawn from the back to the front
    [0, 1, 2]
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close("all")
    """

    def __init__(self, structures, scores, *, names=None, units=None):
        self.structures = structures
        self.scores = scores
        self.names = names
        self.units = units

    def plot(
        self, ax=None, *, n_cols=None, view=None, show_cell=True, cmap=None, circle_kwargs=None
    ):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        n_cols : int, default=None
            Largest number of panels side by side in a new figure. None: the number of scores.
        view : (float, float), default=None
            Elevation and azimuth in degrees, as in three-dimensional plots of matplotlib. None:
            crystals from the front, a little from above; molecules along the direction in which
            they are the flattest.
        show_cell : bool, default=True
            Whether the cell of a crystal is drawn.
        cmap : str or Colormap, default=None
            None: a sequential one, or a diverging one for scores of both signs.
        circle_kwargs : dict, default=None
            Keywords for :class:`matplotlib.patches.Circle`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.AtomsDisplay`
            Object that stores the values and the artists.
        """
        read = [read_structure(structure) for structure in self.structures]
        columns = list(self.scores[0].columns)
        n_panels = len(read) * len(columns)
        if ax is None and n_panels > _MAX_PANELS:
            raise ValueError(
                f"There are {n_panels} panels, of {len(read)} structures with {len(columns)} "
                f"scores each, and a figure has {_MAX_PANELS} at most: choose `rows` or `columns`."
            )
        n_cols = len(columns) if n_cols is None else n_cols
        self.axes_ = make_axes(ax, n_panels, n_cols, panel_size=(3.8, 3.4), single_size=(4.8, 4.2))
        self.figure_ = self.axes_[0].figure
        scales = {name: self._scale(name, cmap) for name in columns}
        self.artists_, self.atoms_, self.colorbars_ = [], [], []
        panels = [(k, name) for k in range(len(read)) for name in columns]
        for axes, (k, name) in zip(self.axes_, panels, strict=True):
            values = self.scores[k][name].to_numpy(dtype=float)
            circles, atoms = _draw(
                axes, read[k], values, scales[name], _check_view(view), show_cell, circle_kwargs
            )
            title = str(name) if self.names is None else f"{self.names[k]}: {name}"
            axes.set_title(shorten(title, 40), fontsize="medium")
            label = with_unit(str(name), (self.units or {}).get(name))
            self.colorbars_.append(colorbar_beside(scales[name], axes, label))
            self.artists_.append(circles)
            self.atoms_.append(atoms)
        return self

    def _scale(self, name: Any, cmap: str | Colormap | None) -> ScalarMappable:
        """Return the colours of a score, the same for all structures."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        values = np.concatenate([own[name].to_numpy(dtype=float) for own in self.scores])
        low, high = color_limits(values)
        if low < 0 < high:
            largest = max(-low, high)
            return ScalarMappable(Normalize(-largest, largest), cmap or _DIVERGING)
        return ScalarMappable(Normalize(low, high), cmap or _SEQUENTIAL)

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        rows=0,
        columns=None,
        output=None,
        block=None,
        units=None,
        n_cols=None,
        view=None,
        show_cell=True,
        cmap=None,
        ax=None,
        circle_kwargs=None,
    ):
        """Score the atoms of structures by a fitted estimator, and draw them.

        Parameters
        ----------
        estimator : estimator instance
            Fitted, as in :func:`~sknestedae.inspection.atom_scores`.
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted.
        rows : int or list of int, default=0
            Positions of the rows whose structures are drawn.
        columns : str or list of str, default=None
            Scores to draw: "share", "attention" and "deletion". None: those that there are.
        output : int, tuple of int, "mean" or class label, default=None
            Output of the prediction that is scored.
        block : str, default=None
            Name of the block of the structures. None: the only one.
        units : dict, default=None
            Unit of each score, by name.
        n_cols : int, default=None
            Largest number of panels side by side in a new figure. None: the number of scores.
        view : (float, float), default=None
            Elevation and azimuth in degrees. None: crystals from the front, a little from above;
            molecules along the direction in which they are the flattest.
        show_cell : bool, default=True
            Whether the cell of a crystal is drawn.
        cmap : str or Colormap, default=None
            None: a sequential one, or a diverging one for scores of both signs.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        circle_kwargs : dict, default=None
            Keywords for :class:`matplotlib.patches.Circle`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.AtomsDisplay`
            Object that stores the values and the artists.

        See Also
        --------
        AtomsDisplay.from_scores : Draw scores that were computed before.

        Examples
        --------
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.datasets import make_crystals
        >>> from sknestedae.plotting import AtomsDisplay
        >>> X, y = make_crystals(20, random_state=0, return_X_y=True)
        >>> sae = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X, y)
        >>> display = AtomsDisplay.from_estimator(sae, X, rows=[0, 3])
        >>> len(display.axes_)
        4
        """
        caller = f"{cls.__name__}.from_estimator"
        check_one_table(X, caller, "Pass the table of the structures alone.")
        X = to_pandas(X)
        chosen = _check_rows(rows, len(X))
        if isinstance(X, list | tuple):  # of structures, or of rows
            part = [X[row] for row in chosen]
        else:
            part = X.iloc[chosen] if isinstance(X, pd.DataFrame | pd.Series) else X[chosen]
        structures = _structures_of(part, caller)
        scores = atom_scores(estimator, part, output=output, block=block)
        names = list(part.index) if isinstance(part, pd.DataFrame | pd.Series) else chosen
        return cls.from_scores(
            structures,
            scores,
            columns=columns,
            names=None if len(chosen) == 1 else [_say_row(name) for name in names],
            units=units,
            n_cols=n_cols,
            view=view,
            show_cell=show_cell,
            cmap=cmap,
            ax=ax,
            circle_kwargs=circle_kwargs,
        )

    @classmethod
    def from_scores(
        cls,
        structures,
        scores,
        *,
        columns=None,
        names=None,
        label="score",
        units=None,
        n_cols=None,
        view=None,
        show_cell=True,
        cmap=None,
        ax=None,
        circle_kwargs=None,
    ):
        """Draw scores of atoms that were computed before.

        Parameters
        ----------
        structures : structure or list of structures
            ``ase.Atoms``, or structures or molecules of pymatgen.
        scores : DataFrame of shape (n_atoms, n_scores), or array-like of shape (n_atoms,)
            One row for each atom, those of all structures behind each other, as
            :func:`~sknestedae.inspection.atom_scores` gives them.
        columns : str or list of str, default=None
            Columns to draw. None: all columns of numbers in which there is any.
        names : list of str, default=None
            Of the structures.
        label : str, default="score"
            Name of the score where it is an array.
        units : dict, default=None
            Unit of each score, by name.
        n_cols : int, default=None
            Largest number of panels side by side in a new figure. None: the number of scores.
        view : (float, float), default=None
            Elevation and azimuth in degrees. None: crystals from the front, a little from above;
            molecules along the direction in which they are the flattest.
        show_cell : bool, default=True
            Whether the cell of a crystal is drawn.
        cmap : str or Colormap, default=None
            None: a sequential one, or a diverging one for scores of both signs.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        circle_kwargs : dict, default=None
            Keywords for :class:`matplotlib.patches.Circle`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.AtomsDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> import pandas as pd
        >>> from ase.build import bulk
        >>> from sknestedae.plotting import AtomsDisplay
        >>> scores = pd.DataFrame({"share": [1.0, 2.0], "deletion": [-1.0, 3.0]})
        >>> display = AtomsDisplay.from_scores(
        ...     bulk("NaCl", "rocksalt", a=5.64), scores, units={"share": "eV"}
        ... )
        >>> [bar.ax.get_ylabel() for bar in display.colorbars_]
        ['share (eV)', 'deletion']
        """
        own = [structures] if is_structure(structures) else list(structures)
        if not own:
            raise ValueError(
                "The 'structures' parameter must have one structure at least, got []."
            )
        sizes = [len(read_structure(structure).numbers) for structure in own]
        table = _score_table(scores, sum(sizes), columns, label)
        ends = np.cumsum(sizes)[:-1].tolist()
        starts = [0, *ends, sum(sizes)]
        parts = [table.iloc[a:b] for a, b in zip(starts, starts[1:], strict=False)]
        if names is not None and len(names) != len(own):
            raise ValueError(
                f"The 'names' parameter must have a name for each of the {len(own)} structures, "
                f"got {names!r}."
            )
        return cls(own, parts, names=names, units=units).plot(
            ax,
            n_cols=n_cols,
            view=view,
            show_cell=show_cell,
            cmap=cmap,
            circle_kwargs=circle_kwargs,
        )


# ---------------------------------------------------------------------------------------------
# What was given


def _check_rows(rows: Any, n_samples: int) -> list[int]:
    """Return the positions of the rows to draw."""
    chosen = [rows] if isinstance(rows, Integral) else list(rows)
    for row in chosen:
        is_row = isinstance(row, Integral) and not isinstance(row, bool)
        if not is_row or not -n_samples <= int(row) < n_samples:
            raise ValueError(
                f"The 'rows' parameter must be positions of rows of X, which has {n_samples}; got "
                f"{rows!r}."
            )
    if not chosen:
        raise ValueError("The 'rows' parameter must name one row at least, got [].")
    return [int(row) for row in chosen]


def _say_row(label: Any) -> str:
    """Name a row by its label; a number follows the word "row"."""
    return f"row {label}" if isinstance(label, Integral) else str(label)


def _structures_of(table: Any, caller: str) -> list[Any]:
    """Return the structures of a table that has one column of them, or of a list of them."""
    if isinstance(table, list) and all(map(is_structure, table)):
        return table
    frame = pd.DataFrame(table)
    found = [j for j in range(frame.shape[1]) if has_structures(frame.iloc[:, j])]
    if len(found) != 1:
        raise ValueError(
            f"{caller} needs rows with one column of structures, got {len(found)} such columns. "
            "Pass the structures, and the result of atom_scores, to from_scores."
        )
    return frame.iloc[:, found[0]].tolist()


def _score_table(scores: Any, n_atoms: int, columns: Any, label: str) -> pd.DataFrame:
    """Return the scores to draw, one row for each atom."""
    table = scores if isinstance(scores, pd.DataFrame) else pd.DataFrame({label: scores})
    if len(table) != n_atoms:
        raise ValueError(
            f"The 'scores' parameter must have a row for each of the {n_atoms} atoms, got "
            f"{len(table)}."
        )
    numbers = table.select_dtypes("number")
    if columns is None:
        chosen = list(numbers.columns[numbers.notna().any().to_numpy()])
    else:
        is_label = isinstance(columns, Hashable) and columns in table.columns
        chosen = [columns] if is_label else list(columns)
    unknown = [name for name in chosen if name not in list(numbers.columns)]
    if unknown or not chosen:
        raise ValueError(
            f"The 'columns' parameter must name columns of numbers, of which the scores have "
            f"{list(numbers.columns)}; got {columns!r}."
        )
    empty = [name for name in chosen if numbers[name].isna().all()]
    if empty:
        raise ValueError(
            f"The scores {empty} are NaN for all atoms: there is nothing to draw. Shares need "
            "per_atom=True of the AtomsBlock, and a target of numbers."
        )
    return numbers[chosen]


def _check_view(view: Any) -> tuple[float, float] | None:
    """Return elevation and azimuth, in degrees."""
    if view is None:
        return None
    is_pair = isinstance(view, Sequence | np.ndarray) and len(view) == 2
    if not is_pair or not all(isinstance(angle, Real) for angle in view):
        raise ValueError(
            f"The 'view' parameter must be an elevation and an azimuth in degrees, got {view!r}."
        )
    return float(view[0]), float(view[1])


# ---------------------------------------------------------------------------------------------
# Drawing


def view_axes(structure: Structure, view: tuple[float, float] | None) -> np.ndarray:
    """Return the directions to the right, up, and towards the viewer, in rows.

    Parameters
    ----------
    structure : Structure
    view : (float, float) or None
        Elevation and azimuth in degrees.

    Returns
    -------
    ndarray of shape (3, 3)
        A rotation.
    """
    if view is None and not structure.periodic.any():
        centred = structure.positions - structure.positions.mean(axis=0)
        axes: np.ndarray = np.linalg.svd(centred, full_matrices=True)[2]
        # the signs of an axis mean nothing; one has to be chosen, and no mirror image
        axes *= np.where(axes[range(3), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
        axes[2] *= np.sign(np.linalg.det(axes))
        turned: np.ndarray = Rotation.from_euler("xy", _TURN_OF_MOLECULES, True).as_matrix() @ axes
        return turned
    elevation, azimuth = np.deg2rad(view or _VIEW_OF_CRYSTALS)
    towards = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.array([right, np.cross(towards, right), towards])


def with_images(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Return atoms in the cell, and those on a face of it on the opposite one as well.

    Returns
    -------
    positions : ndarray of shape (n_drawn, 3)
        In Angstrom.
    atoms : ndarray of int, shape (n_drawn,)
        The atom that each of them is.
    """
    positions, atoms = structure.positions, np.arange(len(structure.positions))
    if not structure.periodic.any():
        return positions, atoms
    cell = _full_cell(structure)
    places = np.linalg.solve(cell.T, positions.T).T
    inside = structure.periodic
    places[:, inside] -= np.floor(places[:, inside] + _ON_FACE)
    for axis in np.flatnonzero(structure.periodic):
        on_face = np.abs(places[:, axis]) <= _ON_FACE
        images = places[on_face] + np.eye(3)[axis]
        places, atoms = np.vstack([places, images]), np.append(atoms, atoms[on_face])
    return places @ cell, atoms


def _full_cell(structure: Structure) -> np.ndarray:
    """Return the vectors of the cell, with unit vectors at right angles where it has none."""
    cell, periodic = structure.cell.copy(), structure.periodic
    if not periodic.all():
        cell[~periodic] = np.linalg.svd(cell[periodic])[2][int(periodic.sum()) :]
    return cell


def _edges(structure: Structure) -> np.ndarray:
    """Return the ends of the edges of the cell, of shape (n_edges, 2, 3).

    That of a slab or a wire lies at the mean of its atoms.
    """
    directions = np.flatnonzero(structure.periodic)
    cell = _full_cell(structure)
    middle = np.linalg.solve(cell.T, structure.positions.mean(axis=0)) if len(directions) else 0.0
    offset = np.where(structure.periodic, 0.0, middle) @ cell
    edges = []
    for axis in directions:
        others = [k for k in directions if k != axis]
        for corner in np.ndindex(*[2] * len(others)):
            start = offset + np.array(corner, dtype=float) @ structure.cell[others]
            edges.append([start, start + structure.cell[axis]])
    return np.array(edges).reshape(-1, 2, 3)


def _draw(
    ax: Axes,
    structure: Structure,
    values: np.ndarray,
    scale: ScalarMappable,
    view: tuple[float, float] | None,
    show_cell: bool,
    circle_kwargs: dict[str, Any] | None,
) -> tuple[list[Any], list[int]]:
    """Draw one structure; return its circles from the back to the front, and their atoms."""
    from matplotlib.patches import Circle

    axes = view_axes(structure, view)
    positions, atoms = with_images(structure)
    seen = positions @ axes.T  # right, up, towards
    radii = _SHRINK * element_values(structure.numbers)[:, RADIUS]
    colors = scale.to_rgba(values)
    order = np.argsort(seen[:, 2], kind="stable")
    circles = []
    for rank, k in enumerate(order):
        atom = atoms[k]
        is_known = np.isfinite(values[atom])
        style: dict[str, Any] = {"edgecolor": "0.2", "linewidth": 0.8}
        style["facecolor"] = colors[atom] if is_known else MISSING_COLOR
        style = combine_styles(style, circle_kwargs, Circle)
        # an atom and its symbol stand in front of those that are farther away
        circle = Circle(seen[k, :2], radii[atom], zorder=2 + 2 * rank, **style)
        ax.add_patch(circle)
        circles.append(circle)
        if len(order) <= _MAX_SYMBOLS:
            is_dark = is_known and np.dot(colors[atom][:3], [0.299, 0.587, 0.114]) < 0.5
            style = {"color": "white" if is_dark else "black", "zorder": 3 + 2 * rank}
            style |= {"ha": "center", "va": "center", "fontsize": "x-small"}
            symbol = symbol_of(int(structure.numbers[atom]))
            ax.text(float(seen[k, 0]), float(seen[k, 1]), symbol, **style)
    corners = _edges(structure) @ axes.T if show_cell else np.zeros((0, 2, 3))
    for edge in corners:
        ax.plot(*edge[:, :2].T, color="0.5", linewidth=0.8, zorder=1)
    _frame(ax, np.vstack([seen[:, :2], corners[:, :, :2].reshape(-1, 2)]), float(radii.max()))
    return circles, [int(atoms[k]) for k in order]


def _frame(ax: Axes, points: np.ndarray, radius: float) -> None:
    """Show all points with circles around them, with the same unit in both directions."""
    low, high = points.min(axis=0) - 1.2 * radius, points.max(axis=0) + 1.2 * radius
    # a straight molecule is not squeezed into a line
    half = np.maximum((high - low) / 2, 0.35 * (high - low).max())
    middle = (low + high) / 2
    limits = np.array([middle - half, middle + half]).T.tolist()
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.set_aspect("equal", adjustable="box")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
