"""The API's bodies, as types, by subject: what is not here is refused by name, and ``/openapi.json`` is made from them.

Byte values are base64. Limits on lengths stand in the types; the body's size is limited before it is read.
"""
