"""`python -m api_gateway` serves the gateway."""

from chassis.server import main

from api_gateway.main import create_app

main(create_app)
