"""What can be told about a log from the directory of one of its replicas.

`listing` says in one row what a position holds, `verification` whether all of it fits together,
`statistics` where its bytes are, and `tailing` follows it as it grows. All read the files alone
(`aurora_store.log.files`): no cluster is asked, and nothing is written.
"""
