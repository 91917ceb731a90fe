"""A scorer for processes of a cluster, which import it from here: they know no test file."""

from __future__ import annotations

import os
import signal

import numpy as np


class Scorer:
    """Scores, and writes down which process did; it kills the one that scores first, if asked to.

    Parameters
    ----------
    folder : Path
    kills : bool
        Whether a process is killed, at its second score: half-way through a part.
    """

    def __init__(self, folder, kills=False):
        self.log, self.bullet = folder / "log", folder / "bullet"
        if kills:
            self.bullet.touch()

    def __call__(self, estimator, X, y):
        me = f"{os.getpid()}\n"
        if self.log.exists() and me in self.log.read_text():
            self.die_once()
        with self.log.open("a") as file:
            file.write(me)
        return estimator.score(X, y)

    def die_once(self):
        try:
            self.bullet.rename(self.bullet.with_name("fired"))  # of several processes, one can
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def n_scores(self):
        """Give the number of scores of each process."""
        return np.unique(self.log.read_text().split(), return_counts=True)[1].tolist()
