"""The platform's edge: routing, tokens, limits, headers and a data plane that proxies."""
