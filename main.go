// Go-jwt is an external plugin for Kong Gateway that checks JSON Web Tokens.
// Kong starts it as a plugin server; see README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"kong-go-jwt/kong"
	"kong-go-jwt/kong/check"
	"kong-go-jwt/kong/token"
	"kong-go-jwt/schema"
)

// version is the plugin's version, which Kong shows. A release sets it.
var version = "0.1.0"

const about = `go-jwt is a plugin server: Kong Gateway starts it, and talks to it over a socket
in its prefix directory. To use it, put the binary at /usr/local/bin/go-jwt and
start Kong with

    KONG_PLUGINS=bundled,go-jwt KONG_PLUGINSERVER_NAMES=go-jwt

To try it without Kong, run "make run" in the source folder. "go-jwt -help" lists
the flags. There are other commands, each with its own -help:

    go-jwt check FILE…    finds mistakes in declarative files
    go-jwt explain        says why a token is accepted or refused
    go-jwt token          makes a token to try a configuration with`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-jwt:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		return runCommand(os.Args[1], os.Args[2:])
	}
	o, err := kong.ParseFlags(os.Stderr, about, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	socket := kong.SocketPath(o.Prefix, os.Args[0])
	switch {
	case o.Version:
		fmt.Println(version)
		return nil
	case o.Dump:
		return kong.Dump(os.Stdout, version, socket)
	case o.Lua:
		return schema.WriteLua(os.Stdout)
	case o.NginxConf:
		return kong.WriteNginxConf(os.Stdout, o.Nginx)
	}
	if _, err := os.Stat(o.Prefix); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("-kong-prefix: %w\n\n%s", err, about)
	}
	signal.Ignore(syscall.SIGPIPE) // of the log: the worker that reads it may die before the others
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return kong.Run(ctx, o, version, socket, os.Stderr)
}

// runCommand runs what is not the plugin server.
func runCommand(name string, args []string) error {
	std := check.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	switch name {
	case "check":
		return check.Check(context.Background(), std, args)
	case "explain":
		os.Exit(check.Explain(context.Background(), std, args))
	case "token":
		return token.Make(os.Stdin, os.Stdout, os.Stderr, args)
	}
	return fmt.Errorf("unknown command %q: see go-jwt -help", name)
}
