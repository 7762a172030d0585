"""Fixtures that start the embedded servers; replaced by the room's owner."""
