package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"time"
)

// received is what an upstream saw of a request.
type received struct {
	Method  string              `json:"method"`
	URI     string              `json:"uri"`
	Headers map[string][]string `json:"headers"`
}

// echo answers with what it received: as JSON, and for a HEAD, which has no
// body, in a header.
func echo(w http.ResponseWriter, r *http.Request) {
	text, err := json.MarshalIndent(received{r.Method, r.RequestURI, r.Header}, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		w.Header().Set("X-Echo", base64.StdEncoding.EncodeToString(text))
		return
	}
	w.Write(append(text, '\n')) //nolint:errcheck,gosec // the client went away
}

func echoServer(addr string) *http.Server {
	return &http.Server{Addr: addr, Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
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
