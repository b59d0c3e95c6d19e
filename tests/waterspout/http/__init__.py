"""Our own HTTP server, module by module; tests that need a socket use a real one."""
