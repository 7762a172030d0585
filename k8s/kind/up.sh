#!/usr/bin/env bash
# A kind cluster with the operators that the platform works with. Needs docker, kind, kubectl and helm.
# Its arguments are the manifests of the other operators; `make cluster-up` takes them from their projects' Go modules.
set -euo pipefail
cd "$(dirname "$0")"
configuration=${KIND_CONFIG:-cluster.yaml}

kind get clusters 2>/dev/null | grep -qx healthcare || kind create cluster --config "$configuration" --wait 120s
kubectl config use-context kind-healthcare
helm upgrade --install strimzi oci://quay.io/strimzi-helm/strimzi-kafka-operator --version 1.2.0 \
  --namespace strimzi --create-namespace --set watchAnyNamespace=true
for manifest in "$@"; do
  kubectl apply --server-side --force-conflicts -f "$manifest"
done
kubectl wait --for=condition=Available deployment --all --all-namespaces --timeout=300s
