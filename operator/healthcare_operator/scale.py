"""Leaving the number of pods to an autoscaler without passing through one pod.

A field that its only owner no longer applies is removed, and `replicas` is one by default: so another manager holds it
while the operator lets go (https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership).
"""

from healthcare_operator.api import Api
from healthcare_operator.platform import MANAGER, Manifest

HOLDER = f"{MANAGER}-scale"


async def hand_over(api: Api, manifest: Manifest, replicas: int) -> None:
    """Lets another manager hold the number of pods as it is.

    Raises:
        ApiError, NotServed.
    """
    meta = {key: manifest["metadata"][key] for key in ("name", "namespace")}
    about = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": meta}
    await api.apply({**about, "spec": {"replicas": replicas}}, force=True, manager=HOLDER)
