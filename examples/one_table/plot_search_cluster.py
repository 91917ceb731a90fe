"""
=========================================
Hyperparameter search on several machines
=========================================

A search trains many networks, and none of them needs to know of the others. So they can be shared
among the workers of a cluster. Each worker here takes one part of the search, and trains the
networks of its part at once. The scores are the same as without a cluster.

The two workers of this page are two processes on one machine. The end of the page says what to
change for several machines, and for several GPUs.
"""

# %%
# The search
# ----------
# Two parameters of a supervised autoencoder are searched over a grid: ``alpha``, the penalty on
# its weights, and ``prediction_weight``, which says how much the prediction counts beside the
# reconstruction. Both say how a network learns, so the network has to predict: the default takes a
# Gaussian process for so few rows, which depends on neither.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from distributed import Client, LocalCluster, get_task_stream
from joblib import parallel_config
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold

from sknestedae import SupervisedAutoencoder
from sknestedae.model_selection import BatchedGridSearchCV

torch.set_num_threads(1)  # enough for networks as small as these

X, y = load_diabetes(return_X_y=True, as_frame=True)
search = BatchedGridSearchCV(
    SupervisedAutoencoder(
        3, predictor="network", max_iter=10, learning_rate_init=0.01, random_state=0
    ),
    {"alpha": [0.01, 0.03, 0.1, 0.3, 1], "prediction_weight": [0.1, 0.3, 1, 3, 10]},
    cv=KFold(3, shuffle=True, random_state=0),
    refit=False,
)

# %%
# The cluster
# -----------
# Inside ``parallel_config("dask")`` the search finds the workers by itself. A worker has one
# thread: two fits in the threads of one process would draw from the same random numbers.
#
# A new process imports this script before it does anything else. What follows the ``if`` is for
# the first process alone. (A search as small as this one is over before a cluster is ready; it is
# here to be looked at.)

if __name__ == "__main__":
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        parallel_config("dask"),
        get_task_stream(client) as tasks,
    ):
        search.fit(X, y)
    difference = np.abs(search.cv_results_["mean_test_score"] - scores).max()
    print("Networks:", len(scores) * search.n_splits_)
    print("Parts:", len(tasks.data), "on", len({t["worker"] for t in tasks.data}), "workers")
    print(f"Largest difference from the scores without a cluster: {difference:.1g}")

# %%
# The scores
# ----------

if __name__ == "__main__":
    results = pd.DataFrame(search.cv_results_)
    table = results.pivot(
        index="param_alpha", columns="param_prediction_weight", values="mean_test_score"
    )
    table = table.round(2) + 0.0  # 0.00 rather than -0.00
    print(table.to_string())

    figure, ax = plt.subplots(figsize=(6, 4.4), layout="constrained")
    image = ax.imshow(table, cmap="cividis", origin="lower", aspect="auto")
    for (i, k), score in np.ndenumerate(table.to_numpy()):
        color = "black" if score > 0.3 else "white"
        ax.text(k, i, f"{score:.2f}", ha="center", va="center", color=color)
    ax.set_xticks(range(table.shape[1]), labels=table.columns)
    ax.set_yticks(range(table.shape[0]), labels=table.index)
    ax.set(
        xlabel="prediction_weight",
        ylabel="alpha",
        title="R² of the prediction, mean of three folds",
    )
    figure.colorbar(image, label="R²")

# %%
# A penalty that ruins the prediction at one weight is harmless at a larger one: the score falls
# along a diagonal, where ``alpha`` comes near to ``prediction_weight``. A search over one of the
# two alone would not show that.
#
# Several machines
# ----------------
# The package has to be installed on each of them, in the same version. One runs a scheduler, and
# each runs as many workers as it has processors to give:
#
# .. code-block:: bash
#
#    dask scheduler
#    dask worker tcp://first-machine:8786 --nworkers 8 --nthreads 1
#
# The script then needs no cluster of its own, only ``Client("tcp://first-machine:8786")``. Dask
# starts its workers with ``OMP_NUM_THREADS=1``, so that they do not fight for the processors. A
# value in the environment of ``dask worker`` has precedence. The table travels with each part;
# dask warns of a part of more than 10 MB, and sends it all the same.
#
# The best candidate is fitted to all rows where the search was called, not on the cluster.
#
# Several GPUs
# ------------
# Each GPU has one worker, which sees no other GPU:
#
# .. code-block:: bash
#
#    CUDA_VISIBLE_DEVICES=0 dask worker tcp://first-machine:8786 --nthreads 1
#    CUDA_VISIBLE_DEVICES=1 dask worker tcp://first-machine:8786 --nthreads 1
#
# With ``SupervisedAutoencoder(device="auto")`` a network is trained on the GPU that its worker
# sees, and on the processor where there is none. On one machine, ``LocalCUDACluster()`` of the
# package ``dask-cuda`` starts such workers in the place of the ``LocalCluster`` above.
#
# When a worker dies
# ------------------
# A part of a ``BatchedGridSearchCV`` has its rows with it. If its worker dies, the part starts
# again on another one, and the scores are the same. Dask gives up a part that has taken four
# workers down with it (one more than ``distributed.scheduler.allowed-failures``). The search then
# ends with the error ``KilledWorker``; lower its ``working_memory`` if it was memory that the
# workers died of.
#
# scikit-learn's own searches send the rows ahead, to one worker. The search ends with an error if
# that one dies before another has asked for them. To be safe, let each worker have a copy of the
# table, the target and the folds, and forbid dask to remove copies:
#
# .. code-block:: python
#
#    dask.config.set({"distributed.scheduler.active-memory-manager.start": False})
#    cluster = LocalCluster(n_workers=2, threads_per_worker=1)
#    client = Client(cluster)
#    folds = list(KFold(3).split(X))
#    with parallel_config("dask", scatter=[X, y, *(rows for fold in folds for rows in fold)]):
#        GridSearchCV(sae, grid, cv=folds).fit(X, y)
#
# So a cluster changes neither the search nor its scores, only where its networks are trained.
