#!/usr/bin/env bash
# A kind cluster with the operators that the platform works with. Needs docker, kind, kubectl and helm.
set -euo pipefail
cd "$(dirname "$0")"
configuration=${KIND_CONFIG:-cluster.yaml}
github=https://github.com raw=https://raw.githubusercontent.com

kind get clusters 2>/dev/null | grep -qx healthcare || kind create cluster --config "$configuration" --wait 120s
kubectl config use-context kind-healthcare
helm upgrade --install strimzi oci://quay.io/strimzi-helm/strimzi-kafka-operator --version 1.2.0 \
  --namespace strimzi --create-namespace --set watchAnyNamespace=true
for manifest in \
  "$github/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml" \
  "$github/prometheus-operator/prometheus-operator/releases/download/v0.93.0/bundle.yaml" \
  "$raw/cloudnative-pg/cloudnative-pg/release-1.30/releases/cnpg-1.30.0.yaml"; do
  kubectl apply --server-side --force-conflicts -f "$manifest"
done
kubectl wait --for=condition=Available deployment --all --all-namespaces --timeout=300s
