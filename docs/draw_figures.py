"""Draw the pictures of the guide that are no example's: python docs/draw_figures.py."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from sknestedae.datasets import (
    load_solar_cells,
    make_crystals,
    make_nanoparticle_clusters,
    nested_functions,
    solar_cell_formula,
)

FOLDER = Path(__file__).parent / "_static"
# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#5A5A5A"
DARK_ORANGE, DARK_GREEN, DARK_PURPLE = "#8A5F00", "#00694D", "#8C3F68"  # of text
# An inch of the picture is about 100 px of the page; the file has twice as many.
DPI = 200
CELL = 0.17  # inches, height of a row of a drawn table


def new_page(width: float, height: float) -> Axes:
    """Make empty axes whose unit is an inch."""
    ax = plt.figure(figsize=(width, height), facecolor="white").add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    return ax


def write(ax: Axes, x: float, y: float, text: str, **style) -> None:
    """Write text, centred unless the style says otherwise."""
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 9.5, **style})


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], **style) -> None:
    """Draw an arrow between two points."""
    shape = {"arrowstyle": "-|>", "mutation_scale": 12, "color": GREY, "linewidth": 1.4}
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **{**shape, **style}))


def table(ax: Axes, x: float, top: float, n_rows: int, colors: list[str], width: float) -> None:
    """Draw a table as a grid, one colour a column."""
    for j, color in enumerate(colors):
        for i in range(n_rows):
            cell = Rectangle((x + j * width, top - (i + 1) * CELL), width, CELL)
            cell.set(facecolor=color, alpha=0.35, edgecolor="white", linewidth=1)
            ax.add_patch(cell)


def stage(ax: Axes, x: float, y: float, name: str) -> None:
    """Draw an autoencoder around (x, y): an encoder, latents, a decoder, in a frame."""
    frame = FancyBboxPatch(
        (x - 0.95, y - 0.62), 1.9, 1.4, boxstyle="round,pad=0,rounding_size=0.1"
    )
    frame.set(facecolor="#F6F6F6", edgecolor=GREY, linewidth=1.2)
    ax.add_patch(frame)
    half, tall, small = 0.72, 0.42, 0.16
    for side in (-1, 1):
        corners = [(side * half, -tall), (side * half, tall), (side * 0.13, small)]
        corners.append((side * 0.13, -small))
        shape = [(x + dx, y - 0.08 + dy) for dx, dy in corners]
        ax.add_patch(Polygon(shape, facecolor=GREY, alpha=0.22, edgecolor="none"))
    ax.add_patch(Rectangle((x - 0.07, y - 0.28), 0.14, 0.4, facecolor=PURPLE, edgecolor="none"))
    write(ax, x - 0.42, y - 0.08, "encode", fontsize=8.5)
    write(ax, x + 0.42, y - 0.08, "decode", fontsize=8.5)
    write(ax, x, y + 0.56, name, fontweight="bold")


def height_of(text: str) -> float:
    """Give the height of a box with this text."""
    return 0.32 + 0.19 * text.count("\n")


def box(ax: Axes, x: float, y: float, text: str, color: str, width: float = 1.5) -> None:
    """Draw a rounded box with text in it, around (x, y)."""
    height = height_of(text)
    corner = (x - width / 2, y - height / 2)
    shape = FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.07")
    shape.set(facecolor=matplotlib.colors.to_rgba(color, 0.2), edgecolor=color, linewidth=1.2)
    ax.add_patch(shape)
    write(ax, x, y, text, linespacing=1.25)


def draw_chain() -> None:
    """Draw a chain of two stages: many crystals, few devices."""
    ax = new_page(7.6, 4.2)
    write(ax, 0.1, 4.02, "Many crystals, one property computed", ha="left", fontweight="bold")
    table(ax, 0.1, 3.86, 9, [BLUE] * 4 + [ORANGE], 0.5)
    write(ax, 1.1, 2.2, "composition, radii, …", color=BLUE)
    write(ax, 2.35, 2.2, "band gap", color=DARK_ORANGE)
    write(ax, 0.1, 1.74, "Few devices, one property measured", ha="left", fontweight="bold")
    table(ax, 0.1, 1.58, 4, [BLUE] * 4 + [GREEN] * 3, 0.278)
    table(ax, 2.046, 1.58, 4, [ORANGE], 0.554)
    write(ax, 0.64, 0.68, "columns of\nthe crystal", color=BLUE)
    write(ax, 1.62, 0.68, "layers,\nthickness", color=DARK_GREEN)
    write(ax, 2.33, 0.765, "efficiency", color=DARK_ORANGE)
    stage(ax, 4.15, 3.12, "Stage 1, autoencoder")
    stage(ax, 4.15, 1.2, "Stage 2, autoencoder")
    arrow(ax, (2.68, 3.12), (3.17, 3.12))
    arrow(ax, (2.68, 1.24), (3.17, 1.24))
    arrow(ax, (5.12, 3.12), (5.6, 3.12))
    arrow(ax, (5.12, 1.2), (5.6, 1.2))
    box(ax, 6.55, 3.12, "band gap of any crystal", ORANGE, 1.85)
    box(ax, 6.55, 1.2, "efficiency of a new device,\nwith an error bar", ORANGE, 1.85)
    arrow(ax, (4.15, 2.82), (4.15, 2.0), color=PURPLE, linewidth=2)
    write(ax, 4.25, 2.23, "latents", ha="left", color=DARK_PURPLE)
    arrow(ax, (6.55, 2.95), (5.12, 1.75), color=ORANGE, linewidth=2)
    write(ax, 5.98, 2.22, "band gap, predicted\nor as it is known", ha="left", color=DARK_ORANGE)
    write(
        ax,
        3.8,
        0.18,
        "Decoders give the tables back: missing values are imputed, new devices are proposed.",
        color=GREY,
    )
    ax.figure.savefig(FOLDER / "chain.png", dpi=DPI)
    plt.close(ax.figure)


# Questions from top to bottom: what to ask, the answer to the right and where it leads, and the
# answer that leads to the next question.
QUESTIONS = [
    (
        "Tables at several scales?\nOr one property by a cheap\nand by an expensive method?",
        "yes",
        "NestedAutoencoder\na chain of stages",
        "no",
    ),
    (
        "One kind of data from another,\nsuch as spectra from images,\nor partners in a library?",
        "yes",
        "DualAutoencoder\nan encoder for each kind",
        "no",
    ),
    (
        "Is there a target to predict?",
        "no",
        "SupervisedAutoencoder,\nfitted without y",
        "yes",
    ),
    (
        "Is the target numbers or classes?",
        "classes",
        "SupervisedAutoencoder-\nClassifier",
        "numbers",
    ),
]


def draw_choice() -> None:
    """Draw the questions that lead to an estimator."""
    ax = new_page(7.0, 4.3)
    left, right, top = 1.75, 5.6, 4.25
    for question, aside, estimator, onward in QUESTIONS:
        half = height_of(question) / 2
        y = top - half
        box(ax, left, y, question, BLUE, 3.2)
        arrow(ax, (left + 1.63, y), (right - 1.28, y))
        write(ax, (left + right) / 2 + 0.17, y + 0.13, aside, color=GREY)
        box(ax, right, y, estimator, ORANGE, 2.5)
        arrow(ax, (left, y - half - 0.02), (left, y - half - 0.42))
        write(ax, left + 0.12, y - half - 0.2, onward, ha="left", color=GREY)
        top = y - half - 0.44
    box(ax, left, top - 0.16, "SupervisedAutoencoder", ORANGE, 2.5)
    ax.figure.savefig(FOLDER / "choose.png", dpi=DPI)
    plt.close(ax.figure)


def draw_sample(ax: Axes, x: float) -> None:
    """Draw an image, a spectrum and a row of numbers below each other, around x."""
    grid = np.linspace(-1, 1, 16)
    image = sum(
        np.exp(-((grid[:, None] - row) ** 2 + (grid - column) ** 2) / 0.08)
        for row, column in [(-0.25, -0.3), (0.3, 0.25)]
    )
    ax.imshow(image, extent=(x - 0.4, x + 0.4, 2.55, 3.35), cmap="Blues", aspect="auto")
    energy = np.linspace(0, 1, 80)
    curve = np.exp(-(((energy - 0.35) / 0.08) ** 2)) + 0.5 * np.exp(-(((energy - 0.7) / 0.1) ** 2))
    ax.plot(x - 0.4 + 0.8 * energy, 1.55 + 0.65 * curve, color=DARK_ORANGE, linewidth=1.5)
    ax.plot([x - 0.4, x + 0.4], [1.55, 1.55], color=GREY, linewidth=0.8)
    table(ax, x - 0.4, 0.9, 1, [GREEN] * 4, 0.2)


def draw_kinds() -> None:
    """Draw three kinds of data, an encoder and a decoder for each, and the latents they share."""
    ax = new_page(7.6, 4.1)
    rows = [("image", 2.95, BLUE), ("spectrum", 1.85, ORANGE), ("numbers", 0.82, GREEN)]
    middle = 1.85
    for side, x in [("encoder", 1.05), ("decoder", 6.55)]:
        draw_sample(ax, x)
        sign = 1 if side == "encoder" else -1
        for _, y, color in rows:
            box(ax, x + sign * 1.28, y, side, color, 0.9)
            near, far = x + sign * 0.47, x + sign * 0.8
            inner, latents = x + sign * 1.76, x + sign * 2.6
            ends = [((near, y), (far, y)), ((inner, y), (latents, middle + (y - middle) * 0.25))]
            for start, end in ends:
                arrow(ax, *((start, end) if sign == 1 else (end, start)))
    for name, y, _ in rows:
        write(ax, 0.32, y, name, color=GREY, rotation=90)
    for k in range(5):
        spot = Rectangle((3.71, middle - 0.42 + 0.17 * k), 0.18, 0.15)
        ax.add_patch(spot)
        spot.set(facecolor=PURPLE, edgecolor="none")
    write(ax, 3.8, middle - 0.62, "latents", color=DARK_PURPLE, fontweight="bold")
    arrow(ax, (3.8, middle + 0.5), (3.8, 3.35), color=ORANGE, linewidth=2)
    box(ax, 3.8, 3.55, "prediction of the target", ORANGE, 1.9)
    write(ax, 1.05, 3.85, "A row, as it was measured", fontweight="bold")
    write(ax, 6.55, 3.85, "A row, as it is decoded", fontweight="bold")
    write(
        ax,
        3.8,
        0.2,
        "A row that lacks a kind gets it from the latents of the others.",
        color=GREY,
    )
    ax.set(xlim=(0, 7.6), ylim=(0, 4.1))
    ax.figure.savefig(FOLDER / "kinds.png", dpi=DPI)
    plt.close(ax.figure)


def draw_block() -> None:
    """Draw the way of a row through codec, encoder and decoder, and where errors are computed."""
    ax = new_page(7.6, 3.3)
    left, middle, right = 1.05, 3.05, 5.3
    top, bottom = 2.55, 0.95
    box(ax, left, top, "columns\nof the table", GREY, 1.3)
    box(ax, middle, top, "values,\nscaled numbers", GREY, 1.35)
    box(ax, right, top, "features", GREY, 1.1)
    box(ax, left, bottom, "columns,\nas decoded", GREY, 1.3)
    box(ax, middle, bottom, "values,\nas decoded", GREY, 1.35)
    box(ax, right, bottom, "outputs of the\ncommon decoder", GREY, 1.45)
    box(ax, 7.0, (top + bottom) / 2, "latents", PURPLE, 0.9)
    for y, back, names in [
        (top, False, ("codec\nencode", "encoder")),
        (bottom, True, ("codec\ndecode", "decoder")),
    ]:
        inner = [(left + 0.68, middle - 0.7), (middle + 0.7, right - (0.75 if back else 0.58))]
        for (start, end), name, color in zip(inner, names, (BLUE, PURPLE), strict=True):
            ends = ((end, y), (start, y)) if back else ((start, y), (end, y))
            arrow(ax, *ends, color=color, linewidth=2)
            style = {"color": color if color == BLUE else DARK_PURPLE, "linespacing": 1.1}
            write(ax, (start + end) / 2, y + 0.32, name, **style)
    arrow(ax, (right + 0.58, top), (6.95, (top + bottom) / 2 + 0.2))
    arrow(ax, (6.95, (top + bottom) / 2 - 0.2), (right + 0.76, bottom))
    half = height_of("\n") / 2
    ends = ((middle, top - half - 0.02), (middle, bottom + half + 0.02))
    arrow(ax, *ends, arrowstyle="<|-|>", color=ORANGE)
    write(ax, middle + 0.1, (top + bottom) / 2, "errors", ha="left", color=DARK_ORANGE)
    write(ax, 0.4, 3.1, "Input", ha="left", fontweight="bold")
    write(ax, 0.4, 0.3, "Reconstruction", ha="left", fontweight="bold")
    ax.figure.savefig(FOLDER / "block.png", dpi=DPI)
    plt.close(ax.figure)


def draw_datasets() -> None:
    """Draw one row, or all, of each generated data set of the page on data sets."""
    figure, axes = plt.subplots(1, 5, figsize=(7.6, 1.9), layout="constrained")
    cells = load_solar_cells()
    gaps = solar_cell_formula(cells.devices)["gap"]
    axes[0].scatter(gaps, cells.efficiency, s=6, color=BLUE, linewidth=0, alpha=0.7)
    axes[0].set(title="solar cells", xlabel="band gap (eV)", ylabel="efficiency (%)")
    clusters = make_nanoparticle_clusters(10, random_state=0)
    row = int(np.argmax(clusters.n_particles))
    axes[1].imshow(clusters.images[row], cmap="Blues")
    axes[1].set(title="cluster, image", xticks=[], yticks=[])
    axes[2].plot(clusters.energies, clusters.spectra[row], color=DARK_ORANGE, linewidth=1.2)
    axes[2].set(title="its spectrum", xlabel="energy (eV)", yticks=[])
    crystals = make_crystals(50, random_state=0)
    structure, parts = crystals.data["structure"].iloc[3], crystals.atom_spectra[3]
    axes[3].fill_between(crystals.frequencies, parts.mean(axis=0), color="0.85")
    for symbol, part, color in zip(structure.symbols, parts, (PURPLE, GREEN), strict=True):
        axes[3].plot(crystals.frequencies, part / 2, color=color, linewidth=1.2, label=symbol)
    axes[3].legend(fontsize=6, frameon=False)
    axes[3].set(title=f"crystal {structure.symbols}", xlabel="wave number (cm⁻¹)", yticks=[])
    first, second = np.meshgrid(np.linspace(0.01, 5, 60), np.linspace(2, 5, 60))
    z = np.column_stack([first.ravel(), second.ravel(), *np.ones((3, first.size))])
    f2 = nested_functions(z)[:, 1].reshape(first.shape)
    axes[4].contourf(first, second, f2, 12, cmap="viridis")
    axes[4].set(title="nested function", xlabel="$z_1$", ylabel="$z_2$")
    for ax in axes:
        ax.title.set_fontsize(8)
        ax.tick_params(labelsize=6, length=2)
        ax.xaxis.label.set_fontsize(7)
        ax.yaxis.label.set_fontsize(7)
    figure.savefig(FOLDER / "datasets.png", dpi=DPI)
    plt.close(figure)


if __name__ == "__main__":
    draw_chain()
    draw_choice()
    draw_kinds()
    draw_block()
    draw_datasets()
