"""`python -m billing_service` serves; `python -m billing_service migrate` only migrates."""

from chassis.server import main

from billing_service.main import create_app

main(create_app)
