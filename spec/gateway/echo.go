package main

import (
	"flag"
	"net/http"
	"time"

	"kong-go-jwt/spec/conformance"
)

func echoServer(addr string) *http.Server {
	return &http.Server{
		Addr: addr, Handler: http.HandlerFunc(conformance.Echo),
		ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
	}
}

// runEcho is the subcommand `echo`: the upstream of the specs on a real Kong.
func runEcho(args []string) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	addr := flags.String("listen", "127.0.0.1:9000", "address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return echoServer(*addr).ListenAndServe()
}
