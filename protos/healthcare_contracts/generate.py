"""`make protos`: writes what is generated from the sources of this package.

`billing_service_pb2*.py` come from billing_service.proto; protos/events/<type>/v<n>.json from events.py, asyncapi.json
from both. A schema that changed compatibly becomes the next version; a published version is never rewritten.
"""

import re
import sys
from pathlib import Path

from healthcare_contracts import asyncapi
from healthcare_contracts.events import MODELS
from healthcare_contracts.schemas import FOLDER, breaks, committed, schema_of, text

PACKAGE = Path(__file__).resolve().parent
PROTO = PACKAGE.parent / "billing_service.proto"


def grpc_code(into: Path) -> None:
    """Generates the gRPC code of billing_service.proto into a folder."""
    from grpc_tools import protoc

    arguments = ["protoc", f"-I{PROTO.parent}", f"--python_out={into}", f"--pyi_out={into}"]
    arguments.append(f"--grpc_python_out={into}")
    if protoc.main([*arguments, str(PROTO)]):
        raise SystemExit("protoc failed")
    stub = into / "billing_service_pb2_grpc.py"
    # protoc imports its own output from the top level; ours lives in a package.
    stub.write_text(
        re.sub(r"^import (\w+_pb2) as", r"from healthcare_contracts import \1 as", stub.read_text(), flags=re.MULTILINE)
    )


def schemas() -> list[str]:
    """Writes the schemas that are new; answers what would break readers."""
    broken = []
    for event_type in MODELS:
        published, new = committed(event_type), schema_of(event_type)
        if published and new == published[max(published)]:
            continue
        found = [f"{event_type}: {what}" for old in published.values() for what in breaks(old, new)]
        broken += found
        if found:
            continue
        file = FOLDER / event_type / f"v{max(published, default=0) + 1}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(new))
    return broken


if __name__ == "__main__":
    grpc_code(PACKAGE)
    if problems := schemas():
        sys.exit("\n".join(["these changes break readers of published events:", *problems]))
    asyncapi.FILE.write_text(asyncapi.text())
