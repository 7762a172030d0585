"""HTTP/1.1 as it arrives, read strictly; the gateway and every service read it by this one code.

What two servers read differently is how requests are smuggled, so nothing is repaired: it is understood or refused.
"""
