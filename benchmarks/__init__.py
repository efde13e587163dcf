"""Benchmarks of aurora-store, each beside what it is built on: ``python -m benchmarks``.

Every case runs in processes of its own, because libprocess starts once per process.
"""
