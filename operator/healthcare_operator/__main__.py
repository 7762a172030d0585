"""`python -m healthcare_operator`."""

from healthcare_operator.main import main

main()
