"""Text in place of numbers, dates or properties is doubted; categories are not."""

import re

import numpy as np
import pandas as pd
import pytest
from cases.supervised import TINY, mixed_table

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae._tables._text import doubt, hint_of_spelling
from sknestedae.exceptions import TextColumnWarning

N = 40
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(5, 2, N).round(3)
FORMULAS = [f"Cs{k}Pb{N - k}I3" for k in range(N)]

DOUBTFUL = {
    "decimal commas": ([f"{x:.3f}".replace(".", ",") for x in NUMBERS], "numbers as text"),
    "thousands": ([f"{x * 1e6:,.0f}" for x in NUMBERS], "numbers as text"),
    "exponents": ([f"{x:.2e}" for x in NUMBERS], "numbers as text"),
    "units": ([f"{250 + 10 * (k % 3)} nm" for k in range(N)], "numbers with a unit"),
    "units without a blank": ([f"{x:.1f}%" for x in NUMBERS], "numbers with a unit"),
    "speeds": ([f"{x:.1f} m/s" for x in NUMBERS], "numbers with a unit"),
    "with words for missing": (
        [*[f"{x:.3f}" for x in NUMBERS[5:]], *["n/a", "-", ""] * 2],
        "numb",
    ),
    "dates": ([f"2024-0{1 + k % 9}-1{k % 10}" for k in range(N)], "dates as text"),
    "German dates": ([f"{1 + k % 28}.3.2024" for k in range(N)], "dates as text"),
    "dates with times": ([f"2024-03-1{k % 10} 10:2{k % 7}:00" for k in range(N)], "dates as text"),
    "months": (["12 Mar 2024", "Jan 2023", "March 5, 2022"] * 13, "dates as text"),
    "formulas": (FORMULAS, f"{N} values in {N} rows"),
    "names of samples": ([f"sample {k:03}" for k in range(N)], f"{N} values in {N} rows"),
    "names of which most occur twice": (
        [f"kind {k // 2}" for k in range(N - 1)],
        f"{N // 2} values in {N - 1} rows",
    ),
    "numbers of samples": ([str(k) for k in range(N)], f"{N} values in {N} rows"),
    "blanks": (
        ["SnO2", "TiO2", "SnO2 ", "ZnO"] * 10,
        "differ by blanks alone, such as 'SnO2', 'S",
    ),
    "numbers with a unit beside numbers without": (
        [f"{x:.3f} um" if k % 3 else f"{x:.3f}" for k, x in enumerate(NUMBERS)],
        "some with a unit and some without, such as '4.736 um', '5.251'",
    ),
    "more numbers as text than numbers": (
        [x if k % 3 else f"{x:.3f} um" for k, x in enumerate(NUMBERS[:20])]
        + [f"{x:.3f} um" for x in NUMBERS[20:]],
        "numbers beside numbers as text, such as '5.251 um'",
    ),
    "two units": (
        [f"{x:.1f} µm" if k % 4 else f"{x / 1000:.4f} mm" for k, x in enumerate(NUMBERS)],
        "2 units as text, such as '0.0053 mm', '4.7 µm'",
    ),
    "capitals": (
        ["clay", "silica", "CLAY", "none"] * 10,
        "differ by capitals alone, such as 'clay', 'CLAY'",
    ),
    "detection limits": (["<0.1", *[f"{x:.3f}" for x in NUMBERS[1:]]], "such as '<0.1', '4.736'"),
    "few values below a limit": (["<0,1", "0,5", "0,7"] * 13, "half of a detection limit"),
    "uncertainties": ([f"{x:.1f}±0.{1 + k % 9}" for k, x in enumerate(NUMBERS)], "uncertainty"),
    "uncertainties with units": ([f"{x:.1f} +/- 0.2 g/m2" for x in NUMBERS], "uncertainty"),
    "ranges": (["10-20 %", "20 - 30 %", "5 to 10 %", "15 %"] * 10, "the middle of a range"),
    "signs of typesetting": (
        [f"{x:.3f}".replace("-", "\u2212") for x in NUMBERS - 5],
        "numbers as te",
    ),
    "a word beside numbers": ([*NUMBERS[1:].tolist(), "n/a"], "numbers beside the text 'n/a'"),
}
CATEGORIES = {
    "layers": ["SnO2", "TiO2", "ZnO", "C60"] * 10,
    "polytypes": ["2H", "4H", "6H", "3C"] * 10,
    "codes": ["0", "1", "2"] * 13,
    "many categories": [f"kind {k % 15}" for k in range(N)],
    "few rows": ["Cs", "MA", "FA"],
    "all of which occur twice": [f"kind {k // 2}" for k in range(N)],
    "fewer of which none occurs twice": [f"kind {k}" for k in range(19)],
    "some of which occur twice": [f"group {k // 3}" for k in range(90)],
    "words beside numbers": [1, "a", "b", "c"] * 10,
    "ratios": ["70-30", "50-50", "100-0"] * 13,
    "symbols": ["Co", "CO", "Ni"] * 13,
    "letters": ["a", "A", "b"] * 13,
    "names with a number": ["12-034", "12-035"] * 20,
    "booleans": [True, False] * 20,
}
DTYPES = [object, "str", "string"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("values", "said"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_doubtful_text(values, said, dtype):
    is_text = all(isinstance(value, str) for value in values)
    column = pd.Series(values, dtype=dtype if is_text else object)
    assert said in doubt(column)
    missing = np.arange(len(column)) % 5 == 0
    assert doubt(column.mask(missing)) is not None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", CATEGORIES.values(), ids=CATEGORIES)
def test_categories_are_not_doubted(values, dtype):
    is_text = all(isinstance(value, str) for value in values)
    assert doubt(pd.Series(values, dtype=dtype if is_text else object)) is None


@pytest.mark.parametrize("values", [v for v, _ in DOUBTFUL.values()], ids=DOUBTFUL)
def test_a_categorical_dtype_says_what_is_meant(values):
    assert doubt(pd.Series(values, dtype=object).astype("category")) is None


def test_numbers_are_no_text():
    assert doubt(pd.Series(NUMBERS)) is None
    assert doubt(pd.Series([None, None], dtype=object)) is None


def test_a_fit_warns_with_column_examples_and_remedy():
    X, y = mixed_table()
    X["gap"] = [f"{x:.3f}".replace(".", ",") for x in RNG.normal(size=len(X))]
    first = X["gap"].iloc[0]
    with pytest.warns(TextColumnWarning) as caught:
        SupervisedAutoencoder(**TINY).fit(X, y)
    (warning,) = caught
    said = str(warning.message)
    for part in ("Column 'gap'", repr(first), "pd.to_numeric", "categorical_features"):
        assert part in said
    assert warning.filename == __file__


def test_what_is_named_as_categorical_is_not_doubted():
    X = pd.DataFrame({"x": NUMBERS, "formula": FORMULAS})
    SupervisedAutoencoder(**TINY, categorical_features=["formula"]).fit(X)


def test_members_and_stages_warn_once():
    X = pd.DataFrame({"x": NUMBERS, "formula": FORMULAS})
    ensemble = SupervisedAutoencoder(**TINY, n_members=3)
    chain = NestedAutoencoder(
        [
            ("a", SupervisedAutoencoder(**TINY), ["formula"]),
            ("b", SupervisedAutoencoder(**TINY), "x"),
        ]
    )
    for estimator in (ensemble, chain):
        with pytest.warns(TextColumnWarning) as caught:
            estimator.fit(X)
        assert len(caught) == 1


@pytest.mark.filterwarnings("ignore:The number of unique classes")  # scikit-learn's own doubt
def test_a_target_of_decimal_commas_makes_classes_and_warns():
    texts = [f"{x:.3f}".replace(".", ",") for x in NUMBERS]
    with pytest.warns(TextColumnWarning, match="The target of stage 'scale0' holds numbers as te"):
        NestedAutoencoder(max_iter=1).fit(NUMBERS[:, None], texts)
    NestedAutoencoder(max_iter=1).fit(NUMBERS[:, None], ["wide", "narrow"] * 20)


def test_predict_does_not_advise_to_change_the_fit():
    X, y = mixed_table()
    fitted = SupervisedAutoencoder(**TINY).fit(X, y)
    for given in (X.assign(radius="2,859"), X.assign(radius="250 nm")):
        with pytest.raises(TypeError, match="It held numbers in fit") as caught:
            fitted.predict(given)
        assert "categorical_features" not in str(caught.value)
    numbers = SupervisedAutoencoder(**TINY).fit(NUMBERS[:, None])
    with pytest.raises(ValueError, match="as it was in fit") as caught:
        numbers.transform([["2,859"]])
    assert "categorical_features" not in str(caught.value)
    with pytest.raises(ValueError, match="name its categorical columns"):
        SupervisedAutoencoder(**TINY).fit([["2,859"], ["3,1"]])


def test_hints():
    assert "but for blanks" in hint_of_spelling(" SnO2", ["TiO2", "SnO2"])
    assert "but for capitals" in hint_of_spelling("sno2", ["TiO2", "SnO2"])
    assert hint_of_spelling("ZnO", ["TiO2", "SnO2"]) == ""
    assert hint_of_spelling(3, ["3"]) == ""


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1,5", "2,25", "-0,5"], [1.5, 2.25, -0.5]),
        (["1.5", "2.25", "n.a."], [1.5, 2.25, np.nan]),
        (["1.234,5", "12.000,25"], [1234.5, 12000.25]),
        (["1,234.5", "2,345,678"], [1234.5, 2345678]),
        (["6,660", "8.01", "0.254"], [6660, 8.01, 0.254]),
        (["6.660", "8,01", "0,254"], [6660, 8.01, 0.254]),
        (["1.553.396", "5.121"], [1553396, 5121]),
        (["12 345", "1 200 300", "7.5"], [12345, 1200300, 7.5]),
        (["12\xa0345,5", "1\u202f200", "n.a."], [12345.5, 1200, np.nan]),
        (["1'234", "5'678.5"], [1234, 5678.5]),
        (["12 345 g", "1 200 g", "7.5 g"], [12345, 1200, 7.5]),
        (["\u22125.1", "\u22123.2", "4.0"], [-5.1, -3.2, 4]),
        (["6,660 m/s", "8.01 m/s"], [6660, 8.01]),
        (["0,5 mm", "1,75 mm"], [0.5, 1.75]),
        (["-10 °C", "25 °C"], [-10, 25]),
        (["1e-5 m", "2.5e3 m"], [1e-5, 2500]),
    ],
)
def test_code_of_the_advice_gives_the_numbers(texts, numbers):
    column = pd.Series(texts * 10)
    said = doubt(column)
    code = re.search(r"such as with (.*?\))(, which|$)", said).group(1)
    converted = eval(code, {"pd": pd, "column": column})
    np.testing.assert_array_equal(converted, numbers * 10)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["111 µm", "0.075 mm", "62 µm"], [111, 75, 62]),
        (["1e-5 mm", "2,5 µm", "3,25µm "], [0.01, 2.5, 3.25]),
    ],
)
def test_code_of_the_advice_brings_two_units_to_one(texts, numbers):
    column = pd.Series(texts * 10)
    number, factor = re.search(
        r"multiply (.*) by the factor of the unit, (.*)$", doubt(column)
    ).groups()
    for unit, value in {"µm": 1, "mm": 1000}.items():
        assert f"{unit!r}: ..." in factor
        factor = factor.replace(f"{unit!r}: ...", f"{unit!r}: {value}")
    converted = eval(f"{number} * {factor}", {"column": column})
    np.testing.assert_allclose(converted, numbers * 10, rtol=4 * np.finfo(float).eps)


def test_a_comma_before_three_digits_in_all_numbers_is_doubtful():
    said = "If the comma parts thousands"
    assert said in doubt(pd.Series(["6,660", "1,020"] * 20))
    assert said not in doubt(pd.Series(["6,660", "1,02"] * 20))
    assert said not in doubt(pd.Series(["6,660", "1.02"] * 20))


@pytest.mark.parametrize(
    ("texts", "first_is_day", "unclear"),
    [
        (["03/07/2024", "21/04/2024"], True, False),
        (["07/03/2024", "04/21/2024"], False, False),
        (["07/03/2024", "04/11/2024"], False, True),
        (["03.07.2024", "04.11.2024"], True, False),
        (["2024-07-03", "2024-11-04"], False, False),
    ],
)
def test_the_advice_on_dates_says_which_number_is_the_day(texts, first_is_day, unclear):
    said = doubt(pd.Series(texts * 10))
    assert ("column, dayfirst=True)" in said) == first_is_day
    assert ("if the day comes before the month" in said) == unclear


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["1.553.396", "5.121"] * 10, "holds numbers as text.*str.replace('.', '')"),
        (["29.10.2022", "03.04.2022"] * 10, "holds dates as text.*dayfirst=True"),
        (["5 mm", "7 µm"] * 10, "holds numbers with 2 units"),
        (["good", "bad"] * 10, "SupervisedAutoencoderClassifier"),
    ],
)
def test_a_target_of_text_is_told_how_to_convert_it(y, said):
    X = pd.DataFrame({"x": np.arange(20.0)})
    with pytest.raises(ValueError, match="y must hold numbers") as caught:
        SupervisedAutoencoder(**TINY).fit(X, pd.Series(y))
    for part in said.split(".*"):
        assert part in str(caught.value)


def test_code_of_the_advice_reads_dates_with_points_by_the_day_first():
    column = pd.Series(["03.07.2024", "21.04.2024"] * 10)
    code = re.search(r"number of days with (.*\.dt\.days)", doubt(column)).group(1)
    days = eval(code.replace("2020, 1, 1", "2024, 4, 21"), {"pd": pd, "column": column})
    assert days.tolist() == [73, 0] * 10  # 21 April to 3 July
