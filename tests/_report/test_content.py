"""How numbers are written."""

import numpy as np
import pytest

from sknestedae._report._content import fixed, mean_and_sd, number, percent


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(0.0123456), "0.0123"),
        (number(-12345.6), "−12346"),  # noqa: RUF001
        (number(1.5e9), "1.50e9"),
        (number(2e-7), "2.00e−7"),  # noqa: RUF001
        (number(np.nan), "–"),  # noqa: RUF001
        (number(0), "0"),
        (mean_and_sd([1.0, 2.0, 3.0]), "2.00 ± 1.00"),
        (mean_and_sd([44.61, 41.0, 48.2]), "44.6 ± 3.6"),
        (mean_and_sd([0.5], 3), "0.500"),
        (mean_and_sd([np.nan]), "–"),  # noqa: RUF001
        (mean_and_sd([0.0, 0.0]), "0 ± 0"),
        (mean_and_sd([1e9, 3e9]), "2.00e9 ± 1.4e9"),
        (fixed(-0.25), "−0.250"),  # noqa: RUF001
        (percent(0), "0 %"),
        (percent(1), "100 %"),
        (percent(0.0001), "< 0.1 %"),
        (percent(0.99999), "> 99.9 %"),
        (percent(0.053), "5.3 %"),
        (percent(0.5), "50 %"),
    ],
)
def test_numbers_are_written_for_readers(written, expected):
    assert written == expected
