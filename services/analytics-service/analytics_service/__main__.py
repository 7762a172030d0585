"""`python -m analytics_service` serves; `python -m analytics_service migrate` only migrates."""

from chassis.server import main

from analytics_service.main import create_app

main(create_app)
