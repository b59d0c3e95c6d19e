"""Black-box tests: a real `waterspout serve` process, real sockets, raw bytes, in both forms of the lanes."""
