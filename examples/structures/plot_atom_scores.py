"""
======================================
Contributions of atoms to a prediction
======================================

A network predicts a property of a molecule. Which atoms are the reason? Three scores answer: the
atom's share of the prediction, the attention that the network pays to it, and the change when it
is deleted. We compute all three for atomisation energies, see that they differ, and test them on
simulated crystals, where the right answer is known.
"""

# %%
# Molecules and the energies that hold them together
# --------------------------------------------------
# The G2/97 set has 148 small molecules with measured enthalpies of formation [1]_ [2]_. It comes
# with ase. The energy that takes a molecule apart into atoms follows from them, as
# ``ase.data.g2.get_atomization_energy`` computes it for a part of the set. The target is this
# energy per atom.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from ase.build import molecule
from ase.data import g2
from ase.units import kcal, mol
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error

from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import AtomsBlock, SpectrumBlock
from sknestedae.datasets import make_crystals
from sknestedae.inspection import atom_predictions, atom_scores
from sknestedae.plotting import AtomsDisplay

torch.set_num_threads(1)  # enough for networks as small as these


def energy_per_atom(name):
    """Give the energy that takes a molecule apart, in eV per atom."""
    own, symbols = g2.data[name], molecule(name).get_chemical_symbols()
    energy = -own["enthalpy"] + own["ZPE"] + own["thermal correction"]
    for symbol in symbols:
        energy += g2.data[symbol]["enthalpy"] - g2.data[symbol]["thermal correction"]
    return energy * kcal / mol / len(symbols)


names = list(g2.molecule_names)
X = pd.DataFrame({"molecule": pd.Series([molecule(name) for name in names], names, dtype=object)})
y = np.array([energy_per_atom(name) for name in names])
order = np.random.RandomState(0).permutation(len(y))
train, test = order[:118], order[118:]
print(f"{len(train)} molecules to learn from, {len(test)} to test")
print(f"Energies: {y.mean():.2f} eV per atom, standard deviation {y.std():.2f}")

# %%
# Three networks
# --------------
# With ``per_atom=True`` each atom has a prediction of its own, and that of the molecule is their
# mean: only then there are exact shares. So few molecules need a small block, with near neighbours
# alone. Three networks differ in nothing but the seed. A linear model of the shares of the
# elements tells what can be had without structures.

sae = SupervisedAutoencoder(
    16,
    blocks=AtomsBlock(cutoff=4, degree=0, message_cutoff=0, per_atom=True),
    prediction_loss="absolute_error",
    alpha=1e-5,
    batch_size=16,
    learning_rate_init=3e-3,
    max_iter=100,
)
networks = [
    clone(sae).set_params(random_state=seed).fit(X.iloc[train], y[train]) for seed in range(3)
]

elements = sorted({symbol for atoms in X["molecule"] for symbol in atoms.symbols})
shares = np.array([[np.mean(atoms.symbols == e) for e in elements] for atoms in X["molecule"]])
linear = RidgeCV(np.logspace(-4, 1, 12)).fit(shares[train], y[train])
predictions = {
    f"network {k + 1}": network.predict(X.iloc[test]) for k, network in enumerate(networks)
}
predictions["shares of the elements, ridge"] = linear.predict(shares[test])
predictions["mean"] = np.full(len(test), y[train].mean())
errors = {name: mean_absolute_error(y[test], own) for name, own in predictions.items()}
print("MAE of new molecules (eV per atom)")
print(pd.Series(errors).round(2).to_string())

# %%
# Three scores
# ------------
# The first network, and of the new molecules with three elements the largest one that is flat, so
# that no atom hides another. A share is what
# an atom adds to the energy per atom of the molecule; all shares together are the prediction.
# Attention adds up to 1. Deletion is what the prediction loses when the atom is not there, with
# all others where they were: where it is negative, the prediction without the atom is higher.

new = X["molecule"].iloc[test]
n_elements = np.array([len(set(atoms.symbols)) for atoms in new])
thickness = np.array([np.ptp(atoms.positions, axis=0).min() for atoms in new])  # in Angstrom
shown = (n_elements >= 3) & (thickness < 0.01)
size = np.where(shown, [len(atoms) for atoms in new], 0)
row = int(np.argmax(size))
AtomsDisplay.from_estimator(
    networks[0], X.iloc[test], rows=row, units={"share": "eV", "deletion": "eV"}
)

# %%
# Agreement of the scores
# -----------------------
# The atoms of each molecule are ranked by each score. Were the scores three words for one thing,
# all rank correlations would be near 1.

scores = [atom_scores(network, X.iloc[test]) for network in networks]
kinds = ["share", "attention", "deletion"]
ranks = [own[kinds].groupby(level="row", sort=False).rank(pct=True) for own in scores]
between = sum(own.corr() for own in ranks) / len(ranks)
print("Rank correlations within molecules, mean of the three networks")
print(between.round(2).to_string())
gap = max(
    np.max(np.abs(own.groupby(level="row", sort=False)["share"].sum().to_numpy() - predicted))
    for own, predicted in zip(scores, predictions.values(), strict=False)
)
print(f"\nLargest difference of summed shares and prediction: {gap:.0e} eV")

# %%
# Agreement of the networks
# -------------------------
# The three networks predict alike. A reason that lies in the molecule, and not in the seed, must
# be alike as well.

pairs = [(0, 1), (0, 2), (1, 2)]
alike = {kind: np.mean([ranks[a][kind].corr(ranks[b][kind]) for a, b in pairs]) for kind in kinds}
alike["predictions"] = np.mean(
    [
        np.corrcoef(predictions[f"network {a + 1}"], predictions[f"network {b + 1}"])[0, 1]
        for a, b in pairs
    ]
)
print("Correlation between two networks, mean of the three pairs")
print(pd.Series(alike).round(2).to_string())

# %%
# Attention and deletion in the molecule above, by each of the networks.

name = new.index[row]
panels = {
    f"{kind}, network {k + 1}": own.loc[name, kind].to_numpy()
    for kind in ("attention", "deletion")
    for k, own in enumerate(scores)
}
AtomsDisplay.from_scores(
    new.loc[name],
    pd.DataFrame(panels),
    n_cols=3,
    cmap="viridis",  # one for all, whether or not a deletion is negative
    units={panel: "eV" for panel in panels if panel.startswith("deletion")},
)

# %%
# Simulated crystals with known contributions
# -------------------------------------------
# In the simulated crystals of ``make_crystals`` each atom vibrates at a frequency of its own. The
# same atoms are scored by two networks. One learns the mean frequency of a crystal, a single
# number; the other its whole density of states. An atom's frequency is the number of atoms times
# its share for the first, and the mean of its own spectrum, by ``atom_predictions``, for the
# second.

crystals = make_crystals(200, noise=0, random_state=0)
learnt, held_out = np.arange(150), np.arange(150, 200)
C, frequencies = crystals.data, crystals.frequencies
true = np.concatenate([crystals.atom_spectra[row] @ frequencies for row in held_out])
mean_frequency = crystals.target @ frequencies
of_mean = SupervisedAutoencoder(
    32,
    blocks=AtomsBlock(n_rounds=0, per_atom=True),
    prediction_loss="absolute_error",
    alpha=1e-5,
    batch_size=16,
    learning_rate_init=4e-3,
    max_iter=60,
    random_state=0,
)
of_spectrum = clone(of_mean).set_params(
    target_block=SpectrumBlock(cumulative_weight=10), target_bounds=(0, None)
)
of_mean.fit(C.iloc[learnt], mean_frequency[learnt])
of_spectrum.fit(C.iloc[learnt], crystals.target[learnt])

atoms = atom_scores(of_mean, C.iloc[held_out])
crystal = atoms.index.get_level_values("row")
atoms["share"] *= atoms.groupby(level="row")["share"].transform("size")
spectra = atom_predictions(of_spectrum, C.iloc[held_out])
atoms["of the spectrum"] = spectra @ frequencies / spectra.sum(axis=1)
atoms["true"] = true
ranked = atoms.drop(columns="element").groupby(level="row").rank(pct=True)
whole = of_spectrum.predict(C.iloc[held_out])
of_crystals = {
    "one number": of_mean.predict(C.iloc[held_out]),
    "spectrum": whole @ frequencies / whole.sum(axis=1),
}
for what, own in of_crystals.items():
    error = mean_absolute_error(mean_frequency[held_out], own)
    print(f"Mean frequency of new crystals, learnt from the {what}: MAE {error:.1f} cm⁻¹")
print("\nRank correlation with the true frequencies of atoms, within crystals")
print(ranked.corr()["true"].drop("true").round(2).to_string())

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained", sharex=True, sharey=True)
for ax, column, title in zip(
    axes,
    ["share", "of the spectrum"],
    ["One number learnt: shares", "Spectrum learnt: atoms' own spectra"],
    strict=True,
):
    ends = [true.min(), true.max()]
    ax.plot(ends, ends, color="0.4", linestyle="--", linewidth=1)
    ax.scatter(true, atoms[column], s=16, alpha=0.7, color="#0072B2")
    ax.set(title=title, xlabel="True frequency of the atom (cm⁻¹)")
axes[0].set_ylabel("Frequency by the network (cm⁻¹)")

# %%
# Conclusions
# -----------
# Attention is where the network looks. Networks that predict alike look at different atoms, and
# where they look says little about what changes the prediction: attention alone is no reason.
# Deletion asks the model itself, and the networks agree. But a molecule without one of its atoms
# is like none that the model has seen.
#
# Shares add up to the prediction. This makes them exact about the model, not about nature: in the
# crystals the mean is predicted well, and the atoms behind it are not. Any other split of the
# same number over the atoms has the same mean, and nothing tells the network which one is true. A
# spectrum leaves less freedom, and the atoms' own spectra come out nearly in the right order.
#
# .. rubric:: References
#
# .. [1] L. A. Curtiss, K. Raghavachari, P. C. Redfern, J. A. Pople, J. Chem. Phys. 106, 1063
#    (1997).
# .. [2] V. N. Staroverov, G. E. Scuseria, J. Tao, J. P. Perdew, J. Chem. Phys. 119, 12129 (2003).
