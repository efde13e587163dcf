"""``aurora-store demo``: a cluster's trace replayed by a scheduler whose leader is killed.

`trace` is the input, `workload` what one event does to the database, `node` one replica's process,
`process` the supervisor's side of it, `run` the supervisor.
"""
