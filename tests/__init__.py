"""The tests. They mirror the tree; `wire/` holds black-box tests over real sockets and processes."""
