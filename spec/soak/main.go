// Soak keeps the plugin under load for a long time, behind the embedded gateway,
// while the gateway is reloaded, credentials change and lookups fail, by the Admin
// API or in the node's own store. It checks every single answer against what the
// token deserves, and prints what it saw: the command behind "make soak".
//
//	go run ./spec/soak -store node -duration 30m -connections 64
//
// It fails if one answer was wrong, or if memory, goroutines or threads grew.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type options struct {
	plugin, gateway string
	store           string
	duration        time.Duration
	connections     int
	pause           time.Duration
	seed            uint64
	// slack is how much longer a lookup, and each thing that is promised, may take.
	slack time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.plugin, "plugin", "", "the go-jwt `binary`; empty: it is built")
	flag.StringVar(&o.gateway, "gateway", "", "the embedded gateway's `binary`; empty: it is built")
	flag.StringVar(&o.store, "store", "node", "`where` the plugin looks credentials up: node or admin")
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "how long it takes")
	flag.IntVar(&o.connections, "connections", 64, "how many requests are under way")
	flag.DurationVar(&o.pause, "pause", 4*time.Second, "the mean time between two things that happen")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what chance is made from")
	flag.DurationVar(&o.slack, "slack", 0, "how much longer things may take, on a busy machine")
	flag.Parse()
	log.SetFlags(log.Ltime)
	if o.store != "node" && o.store != "admin" {
		log.Fatalf("soak: -store: must be node or admin, not %q", o.store)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Print("soak: ", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be done
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for binary, pkg := range map[*string]string{&o.plugin: "kong-go-jwt", &o.gateway: "kong-go-jwt/spec/gateway"} {
		if *binary != "" {
			continue
		}
		*binary = filepath.Join(dir, "bin-"+filepath.Base(pkg))
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", *binary, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
		}
	}
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return err
	}
	defer w.close()
	log.Printf("%v with %d connections, -store %s, seed %d", o.duration, o.connections, o.store, o.seed)

	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	l := newLoad(w, o.connections)
	samples := make(chan []sample, 1)
	go func() { samples <- w.observe(ctx) }()
	go w.outages.watch(ctx)
	events := make(chan error, 1)
	chance := rand.New(rand.NewPCG(o.seed, 0))
	go func() { events <- w.live(ctx, chance, o) }()
	l.run(ctx, o.seed)
	err = errors.Join(<-events, ctxFault(ctx))
	return errors.Join(err, report(os.Stdout, w, l, <-samples))
}

// ctxFault tells an interruption from the end of the time.
func ctxFault(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return ctx.Err()
}
