// Command gateway plays Kong's side for the specs: routes, plugins, the
// plugin-server socket and a part of the Admin API, true to Kong 3.9.3.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "echo":
			return runEcho(args[1:])
		case "token":
			return runToken(args[1:])
		case "kong-config":
			return runKongConfig(args[1:])
		}
	}
	return run(args)
}
