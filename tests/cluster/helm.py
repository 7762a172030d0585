"""Helm on a cluster: releases as a user installs them, and the lines that their notes print."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from hpctl.embedded.process import free_port
from hpctl.layout import ROOT

from tests.cluster import build
from tests.cluster.charts import CHARTS
from tests.cluster.client import Client, eventually

WITHIN = 300
_LINE = re.compile(r"(?:^|:)\s+((?:kubectl|helm|curl) .+)$", re.MULTILINE)
_PORT = re.compile(r"(port-forward \S+ )(\d+)(?::(\d+))?|localhost:(\d+)")


class NoteError(AssertionError):
    """A line of a release's notes does not work; the text has the line and what it printed."""


class Helm:
    """The `helm` of PATH, or one built for the tests, for releases in one namespace of a cluster.

    `home` is the current namespace of the shell in which notes are followed, where that is another one.
    """

    def __init__(self, cluster: Client, namespace: str, home: str = "") -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.home = home or namespace
        self.place = cluster.directory / f"helm-{namespace}-{secrets.token_hex(2)}"
        self.ports: dict[str, str] = {}

    def install(self, release: str, chart: str, values: dict[str, Any] | None = None) -> None:
        """`helm install` of one of our charts."""
        self._run("install", release, str(CHARTS / chart), "--values=-", given=yaml.safe_dump(values or {}))

    def test(self, release: str) -> None:
        """`helm test`: every test of the release has to succeed."""
        self._run("test", release)

    def notes(self, release: str) -> list[str]:
        """The commands that the release's notes print, in their order."""
        return _LINE.findall(self._run("get", "notes", release))

    def follow(self, release: str) -> list[str]:
        """Run what the notes print, line by line, as it stands but for local ports; what was run."""
        with ExitStack() as background:
            lines = self.notes(release)
            for line in lines:
                if "port-forward" in line or "--watch" in line:
                    background.enter_context(self._kept(self._moved(line)))
                else:
                    self._shell(self._moved(line))
        return lines

    def _moved(self, line: str) -> str:
        """The line with another local port: the usual one may be taken on this machine."""

        def move(match: re.Match[str]) -> str:
            local = self.ports.setdefault(match[2] or match[4], str(free_port()))
            return f"{match[1]}{local}:{match[3] or match[2]}" if match[1] else f"localhost:{local}"

        return _PORT.sub(move, line)

    def _shell(self, line: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", re.sub(r"^curl ", "curl --fail --silent --show-error ", line)]
        return self._done(line, command)

    def _run(self, *words: str, given: str = "") -> str:
        command = [str(self.program), *words, f"--namespace={self.namespace}"]
        return self._done(" ".join(("helm", *words)), command, given)

    def _done(self, line: str, command: list[str], given: str = "") -> str:
        options = {"cwd": ROOT, "env": self.environ, "input": given, "timeout": WITHIN}
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        if done.returncode:
            raise NoteError(f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout

    @contextmanager
    def _kept(self, line: str) -> Iterator[None]:
        """A line that goes on until it is ended; from its first word on it works."""
        log = self.place / f"{secrets.token_hex(4)}.log"
        with log.open("w") as output:
            command = ["bash", "-c", f"exec {line}"]
            kept = subprocess.Popen(
                command, cwd=ROOT, env=self.environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            eventually(lambda: log.read_text() or kept.poll() is not None, f"word of `{line}`", 30)
            yield
            if kept.poll() is not None:
                raise NoteError(f"{line}\n{log.read_text()}")
        finally:
            kept.terminate()
            kept.wait(30)

    @cached_property
    def program(self) -> Path:
        return Path(shutil.which("helm") or build.helm())

    @cached_property
    def environ(self) -> dict[str, str]:
        """A shell whose kubectl and helm are those of the tests, and whose current namespace is `home`."""
        tools = self.place / "tools"
        tools.mkdir(parents=True)
        (tools / "kubectl").write_text(f'#!/bin/sh\nexec {" ".join(self.cluster.program)} "$@"\n')
        (tools / "kubectl").chmod(0o755)
        (tools / "helm").symlink_to(self.program)
        config = self.place / "kubeconfig"
        shutil.copy(self.cluster.kubeconfig, config)
        own = {"KUBECONFIG": str(config), "HELM_CACHE_HOME": str(self.place), "HELM_CONFIG_HOME": str(self.place)}
        environ = self.cluster.environ() | own | {"PATH": f"{tools}:{os.environ['PATH']}"}
        words = ["config", "set-context", "--current", f"--namespace={self.home}"]
        subprocess.run([tools / "kubectl", *words], env=environ, capture_output=True, timeout=30, check=True)
        return environ
