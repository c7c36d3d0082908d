"""The description of the API, as the daemon serves it at /openapi.json: for the libraries that are made of it."""

import sys

from cardd import __version__
from cardd.api.openapi import document
from cardd.api.routes import ROUTES

if __name__ == "__main__":
    sys.stdout.buffer.write(document(__version__, ROUTES))
