"""The HTTP server on its own, beside Tornado's: a corpus of requests with a verdict for each, and a fuzzer.

case.py         Case: bytes, and what becomes of them
corpus/         the cases, a file for each family
recorder.py     a server that answers each request with what it saw of it
client.py       sends the bytes in any pieces; judges replies as strictly as the server judges requests
verdict.py      how a conversation differs from what its case says
reference.py    the same framing once more, written to be read
fuzz.py         mutated cases against the server, beside the reference
"""
