"""What a spec tells the services, they understand: each sample's settings, read by each service's own class."""

import base64
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from chassis.settings import ServiceSettings
from healthcare_operator import secrets
from healthcare_operator.helm import Charts
from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.render import components
from healthcare_operator.settings import Settings
from healthcare_operator.spec import SERVICES, Spec
from hpctl.layout import ROOT

CHARTS = Charts(Settings().charts_dir)
SAMPLES = sorted(path.stem for path in (ROOT / "k8s" / "samples").glob("*.yaml"))
FOLDER = "/etc/healthcare"
GIVEN = {"username": "them", "password": "theirs", "host": "db.example", "port": "5432", "dbname": "d"}
GIVEN |= {"ca.crt": "PEM", "jwt-private-key": "PEM"}


def sample(name: str) -> Platform:
    spec = yaml.safe_load((ROOT / "k8s" / "samples" / f"{name}.yaml").read_text())["spec"]
    return Platform("care", "here", "uid", 1, Spec.model_validate(spec))


def understood(platform: Platform, service: str, folder: Path) -> Any:
    """The service's own settings, read from what its container is given; Secrets are files under `folder`."""
    found = {each["kind"]: each for each in components(platform, CHARTS)[service]}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    made = {each["metadata"]["name"]: each["data"] for each in secrets.manifests(platform, {})}
    for volume in pod["volumes"]:
        if "secret" in volume:
            _mount(folder / volume["name"], made.get(volume["secret"]["secretName"]))
    environ = {each["name"]: each["value"] for each in pod["containers"][0].get("env", [])} | found["ConfigMap"]["data"]
    environ = {name: value.replace(FOLDER, str(folder)) for name, value in environ.items()}
    read: type[ServiceSettings] = importlib.import_module(f"{service.replace('-', '_')}.settings").Settings
    return read.from_environ(environ)


def _mount(folder: Path, data: dict[str, str] | None) -> None:
    """One of our Secrets, or one that somebody else brings."""
    plain = GIVEN if data is None else {key: base64.b64decode(value).decode() for key, value in data.items()}
    folder.mkdir()
    for key, value in plain.items():
        (folder / key).write_text(value)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_service_understands_what_a_sample_tells_it(name: str, service: str, tmp_path: Path) -> None:
    platform = sample(name)
    told = understood(platform, service, tmp_path)
    assert told.app_env == platform.spec.profile
    assert not told.placeholders()


def test_the_first_administrator_has_a_password_of_256_bits(tmp_path: Path) -> None:
    told = understood(sample("production"), "auth-service", tmp_path)
    assert told.admin_email == "admin@care.example"
    assert len(base64.urlsafe_b64decode(told.admin_password.get_secret_value() + "=")) == 32


def test_nobody_but_the_one_who_signs_holds_the_private_key(tmp_path: Path) -> None:
    for service in SERVICES:
        [deployment] = [each for each in components(sample("laptop"), CHARTS)[service] if each["kind"] == "Deployment"]
        assert ("care-auth" in _mounted(deployment)) == (service == "auth-service")


def _mounted(deployment: Manifest) -> set[str]:
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    return {each["secret"]["secretName"] for each in volumes if "secret" in each}


def test_strimzi_gives_a_user_the_password_that_its_service_holds() -> None:
    platform = sample("minimal")
    found = components(platform, CHARTS)
    made = {each["metadata"]["name"]: each["data"] for each in secrets.manifests(platform, {})}
    users = [each for each in found["kafka"] if each["kind"] == "KafkaUser"]
    assert len(users) == 5
    for user in users:
        service = user["metadata"]["name"].removeprefix("care-kafka-")
        given = user["spec"]["authentication"]["password"]["valueFrom"]["secretKeyRef"]
        [deployment] = [each for each in found[service] if each["kind"] == "Deployment"]
        assert given["name"] in _mounted(deployment)
        assert len(base64.urlsafe_b64decode(base64.b64decode(made[given["name"]][given["key"]]) + b"=")) == 32
