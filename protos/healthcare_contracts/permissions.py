"""What each role may do. Services ask for a permission, never for a role."""

USER = "USER"
ADMIN = "ADMIN"

_USER = frozenset({"patients:read", "patients:write", "appointments:read", "appointments:write"})
_ADMIN_ONLY = frozenset(
    {"patients:delete", "analytics:read", "billing:read", "ops:read", "ops:write", "users:register-admin"}
)

ROLES: dict[str, frozenset[str]] = {USER: _USER, ADMIN: _USER | _ADMIN_ONLY}
"""Role → permissions."""
