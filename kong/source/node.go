package source

import "path/filepath"

// NodeVersion is the version of the include's server that a [Node] can ask.
const NodeVersion = "1"

// NodeSocket is where the include has nginx listen, with Kong's prefix directory.
func NodeSocket(prefix string) string { return filepath.Join(prefix, "sockets", "go-jwt") }
