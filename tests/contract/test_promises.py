from tests.contract.table import PAGE, marks, promises, render


def test_every_mark_names_a_promise_that_exists() -> None:
    assert set(marks()) <= set(promises())


def test_the_page_names_the_tests_that_prove_each_promise() -> None:
    assert PAGE.read_text() == render(), "run `make contract`"
