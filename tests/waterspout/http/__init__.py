"""The HTTP server of our own, module by module; what needs a socket has a real one."""
