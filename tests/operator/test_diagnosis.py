"""What is said of a pod that does not come up."""

import pytest
from healthcare_operator.diagnosis import cause
from healthcare_operator.platform import COMPONENT

TRACEBACK = """Traceback (most recent call last):
  File "run.py", line 1, in <module>
sqlalchemy.exc.DBAPIError: (asyncpg.Error) no column of that name
[SQL: ALTER TABLE patient DROP COLUMN third]
(Background on this error at: https://sqlalche.me/e/21/dbapi)
"""


@pytest.mark.parametrize(
    ("last_words", "said"),
    [
        (TRACEBACK, ": sqlalchemy.exc.DBAPIError: (asyncpg.Error) no column of that name"),
        ("starting\nno such option\n", ": no such option"),
        ("", ""),
    ],
)
def test_what_ended_is_told_by_the_line_that_names_the_error(last_words: str, said: str) -> None:
    ended = {"name": "migrate", "ready": False, "state": {"terminated": {"exitCode": 1, "message": last_words}}}
    pod = {
        "metadata": {"name": "patient-1", "labels": {COMPONENT: "patient-service"}},
        "spec": {"containers": [{"image": "patient-service:third"}]},
        "status": {"initContainerStatuses": [ended]},
    }
    found = cause([pod], {"patient-service:third"})
    assert found == f"migrate of patient-service ended with exit code 1{said}"
