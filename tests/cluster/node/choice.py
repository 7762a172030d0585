"""Which node this machine gives: kind where it is, a node of its own otherwise. CLUSTER_NODE says it outright.

`kind-built` is never taken unasked: kind with everything that it needs made here, where no registry can be reached.
"""

import os
from contextlib import AbstractContextManager

from tests.cluster.node import kind
from tests.cluster.node.built import built_node
from tests.cluster.node.machine import NoNode
from tests.cluster.node.node import Node
from tests.cluster.node.own import own_node

VARIABLE = "CLUSTER_NODE"
NODES = {"kind": kind.kind_node, "kind-built": built_node, "own": own_node}


def chosen() -> str:
    """`kind`, `kind-built` or `own`. Raises NoNode where the variable names neither, or a kind that is not there."""
    named = os.environ.get(VARIABLE) or ("kind" if kind.present() else "own")
    if named not in NODES:
        raise NoNode(f"{VARIABLE} is {named}; there are {', '.join(NODES)}")
    if named == "kind" and not kind.present():
        raise NoNode(f"kind needs {', '.join(kind.PROGRAMS)} on the PATH and a Docker that answers")
    return named


def a_node() -> AbstractContextManager[Node]:
    """The node of this machine, until the block ends."""
    return NODES[chosen()]()
