"""What CloudNativePG 1.30 says: a Cluster by phase and readyInstances, a Database and a DatabaseRole by `applied`."""

import hashlib

from tests.cluster.standin.world import (
    Finalizer,
    Invalid,
    Judge,
    Manifest,
    Report,
    World,
    child,
    condition,
    require_secret,
    service,
)

HEALTHY = "Cluster in healthy state"
FINALIZER = "cnpg.io/deleteDatabase"


def cluster(resource: Manifest, world: World) -> Report:
    """Healthy once the Secrets that it was pointed to are there; makes `<name>-app` where it was pointed to none."""
    meta, spec = resource["metadata"], resource["spec"]
    name, count = meta["name"], spec["instances"]
    initdb = spec.get("bootstrap", {}).get("initdb", {})
    if secret := initdb.get("secret"):
        require_secret(world, meta["namespace"], secret, "the owner's credentials")
    status = {
        "phase": HEALTHY,
        "instances": count,
        "readyInstances": count,
        "currentPrimary": f"{name}-1",
        "writeService": f"{name}-rw",
        "readService": f"{name}-r",
        "managedRolesStatus": _managed(spec, meta["namespace"], world),
        "conditions": [
            condition("Initialized", True, "Initialized", "initdb was asked for"),
            condition("Ready", True, "ClusterIsReady", "Cluster is Ready"),
        ],
    }
    selector = {"cnpg.io/cluster": name}
    made = [service(resource, f"{name}-{role}", 5432, selector) for role in ("rw", "ro", "r")]
    made.append(child(resource, "Secret", f"{name}-ca", stringData={"ca.crt": f"the authority of {name}\n"}))
    if not secret:
        made.append(_application(resource, initdb))
    return Report(status, made)


def database(resource: Manifest, world: World) -> Report:
    """Applied where its cluster is healthy and knows the owner; no word while the cluster is absent."""
    meta, spec = resource["metadata"], resource["spec"]
    home = world.find("Cluster.postgresql.cnpg.io", meta["namespace"], spec["cluster"]["name"])
    if home is None:
        return Report(None)
    _healthy(home)
    if spec["owner"] not in _roles(home, world):
        raise Invalid(f'while creating database "{spec["name"]}": ERROR: role "{spec["owner"]}" does not exist')
    return Report({"applied": True})


def role(resource: Manifest, world: World) -> Report:
    """Applied where its cluster is healthy and its password is there; no word while the cluster is absent."""
    meta, spec = resource["metadata"], resource["spec"]
    home = world.find("Cluster.postgresql.cnpg.io", meta["namespace"], spec["cluster"]["name"])
    if home is None:
        return Report(None)
    _healthy(home)
    if secret := spec.get("passwordSecret"):
        require_secret(world, meta["namespace"], secret, "the role's password")
    return Report({"applied": True, "conditions": [condition("Ready", True, "Applied", "the role is as asked")]})


def finalizer(resource: Manifest, world: World, *, clinging: bool) -> Finalizer | None:
    """An instance's, while its Cluster is there; CloudNativePG itself takes it from the rest, a `clinging` one not."""
    if resource["kind"] != "Database":
        return None
    meta = resource["metadata"]
    home = world.find("Cluster.postgresql.cnpg.io", meta["namespace"], resource["spec"]["cluster"]["name"])
    gone = home is None or "deletionTimestamp" in home["metadata"]
    if gone and (clinging or "deletionTimestamp" not in meta):
        return None
    return FINALIZER, "deletionTimestamp" not in meta


def failed(kind: str, reason: str) -> Manifest:
    """How CloudNativePG reports trouble; a Cluster is called initialized even then."""
    if kind == "Cluster":
        conditions = [
            condition("Initialized", True, "Initialized", "initdb was asked for"),
            condition("Ready", False, "ClusterIsNotReady", "Cluster Is Not Ready"),
        ]
        return {"phase": "Setting up primary", "phaseReason": reason, "readyInstances": 0, "conditions": conditions}
    return {"applied": False, "message": reason}


def _managed(spec: Manifest, namespace: str, world: World) -> Manifest:
    reconciled, trouble = [], {}
    for managed in spec.get("managed", {}).get("roles", []):
        try:
            if secret := managed.get("passwordSecret"):
                require_secret(world, namespace, secret, "the role's password")
            reconciled.append(managed["name"])
        except Invalid as reason:
            trouble[managed["name"]] = [str(reason)]
    status: Manifest = {"byStatus": {"reconciled": reconciled}} if reconciled else {}
    return status | ({"cannotReconcile": trouble} if trouble else {})


def _application(resource: Manifest, initdb: Manifest) -> tuple[str, Manifest]:
    meta = resource["metadata"]
    owner = initdb.get("owner", "app")
    data = {
        "username": owner,
        "password": hashlib.sha256(meta["uid"].encode()).hexdigest(),
        "host": f"{meta['name']}-rw",
        "port": "5432",
        "dbname": initdb.get("database", "app"),
    }
    return child(resource, "Secret", f"{meta['name']}-app", type="kubernetes.io/basic-auth", stringData=data)


def _healthy(home: Manifest) -> None:
    if home.get("status", {}).get("phase") != HEALTHY:
        raise Invalid("the cluster is not ready")


def _roles(home: Manifest, world: World) -> set[str]:
    spec, meta = home["spec"], home["metadata"]
    known = {"postgres", spec.get("bootstrap", {}).get("initdb", {}).get("owner", "app")}
    known |= set(home.get("status", {}).get("managedRolesStatus", {}).get("byStatus", {}).get("reconciled", []))
    for resource in world.all("DatabaseRole.postgresql.cnpg.io", meta["namespace"]):
        if resource["spec"]["cluster"]["name"] == meta["name"] and resource.get("status", {}).get("applied"):
            known.add(resource["spec"]["name"])
    return known


JUDGES: dict[str, Judge] = {
    "Cluster.postgresql.cnpg.io": cluster,
    "DatabaseRole.postgresql.cnpg.io": role,
    "Database.postgresql.cnpg.io": database,
}
