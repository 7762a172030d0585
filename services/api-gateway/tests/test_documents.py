"""The gateway's documents for people: problems explained, and Swagger UI without another host."""

import inspect
import re
from pathlib import Path

import pytest
from api_gateway.problem_pages import EXPLAINED
from api_gateway.testing import Edge, running
from chassis import classification, errors
from chassis.errors import PlatformError

OUTSIDE = re.compile(rb"(?:src|href)=[\"'](?:https?:)?//")


def slugs() -> set[str]:
    """Every kind of problem that the platform's own classes raise."""
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, PlatformError)]
    sources = [inspect.getsource(each) for each in classes] + [inspect.getsource(classification)]
    return {slug for source in sources for slug in re.findall(r"\(\s*[45]\d\d, \"([a-z-]+)\"", source)}


@pytest.mark.contract("D09")
async def test_every_kind_of_problem_has_a_page_without_a_token(edge: Edge) -> None:
    assert len(slugs()) > 8
    assert slugs() <= set(EXPLAINED)
    listed = (await edge.ask("GET", "/api-docs/problems")).body.decode()
    for slug, each in EXPLAINED.items():
        reply = await edge.ask("GET", f"/api-docs/problems/{slug}")
        assert reply.status == 200 and str(each.status) in reply.body.decode()
        assert f'"problems/{slug}"' in listed
    assert (await edge.ask("GET", "/api-docs/problems/nothing")).status == 404


def test_the_documentation_lists_every_kind_of_problem() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
    rows = [f"| `{slug}` | {each.status} | {each.meaning} | {each.remedy} |" for slug, each in EXPLAINED.items()]
    assert [row for row in rows if row not in page] == []


@pytest.mark.contract("D09")
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("GET", "/api/patients"), ("BREW", "/api/patients"), ("GET", "/auth/..")]
)
async def test_every_problem_of_the_gateway_links_to_its_page(edge: Edge, method: str, path: str) -> None:
    reply = await edge.ask(method, path)
    slug = reply.json["type"].rpartition("/")[2]
    assert reply.one("link") == f'</api-docs/problems/{slug}>; rel="help"'
    assert (await edge.ask("GET", f"/api-docs/problems/{slug}")).status == 200


async def test_swagger_ui_needs_no_other_host(edge: Edge) -> None:
    page = await edge.ask("GET", "/api-docs/ui/patients")
    assert page.status == 200 and not OUTSIDE.search(page.body)
    for name in re.findall(r'(?:src|href)="([\w.-]+\.(?:js|css|png))"', page.body.decode()):
        assert (await edge.ask("GET", f"/api-docs/ui/{name}")).status == 200, name
    moved = await edge.ask("GET", "/docs")
    assert moved.one("location") == "api-docs/ui/patients"
    assert (await edge.ask("GET", "/api-docs/ui/nothing")).status == 404


async def test_without_documents_there_are_none_of_these_pages(service) -> None:
    async with running(service, API_DOCS_ENABLED="false") as edge:
        for path in ("/api-docs/problems", "/api-docs/ui/patients"):
            assert (await edge.ask("GET", path)).status == 404
