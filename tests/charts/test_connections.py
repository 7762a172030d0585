"""NetworkPolicies against the connections that the platform makes: seen in the kernel, not read from the same table."""

import threading

from hpctl.layout import SERVICES

from tests.charts import observed, policies

OURS = {service.name for service in SERVICES}


def test_policies_allow_what_the_walkthrough_connects_and_nothing_else(stack) -> None:
    walked = threading.Event()
    answers = []

    def walk() -> None:
        answers.append(stack.hpctl("demo"))
        walked.set()

    walking = threading.Thread(target=walk)
    walking.start()
    seen = observed.of_services(stack.offset)
    while not walked.wait(0.05):
        seen |= observed.of_services(stack.offset)
    seen |= observed.of_services(stack.offset)  # the last ones: a connection is kept for a while after its request
    walking.join()
    assert answers[0].returncode == 0, answers[0].stdout
    may = {each for each in policies.allowed() if each[0] in OURS}
    assert seen - may == set(), "connections that a policy would cut"
    assert may - seen == set(), "doors that are open for nobody"
