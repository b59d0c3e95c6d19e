"""What services on the engine have in common, and no library gives: the status board stands on it. The engine
itself uses nothing of it.

`sql`, one database for both sides; `sessions`, who signed in at Flask; `folder`, files that people send;
`sniffing`, what a file is; `keys`, a secret made at the first start; `sites`, where a request comes from;
`newest`, a cache for views.
"""
