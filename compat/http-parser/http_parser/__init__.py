"""A stand-in for http-parser 0.9.0, which does not build on Python 3.11 and newer."""
