// Bench drives plugin binaries over their sockets, as Kong does, and prints what
// an event costs: the command behind "make bench".
//
//	go run ./spec/bench -plugin ./bin/go-jwt -baseline ./bin/baseline
//
// It plays one nginx worker (GOMAXPROCS is 1) that has as many requests under
// way as there are connections. Everything of one table is measured in one run,
// so that ratios can be compared; absolute figures belong to the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"
)

func main() {
	o := options{}
	flag.StringVar(&o.plugin, "plugin", "", "the go-jwt `binary`")
	flag.StringVar(&o.baseline, "baseline", "", "a plain go-pdk plugin's `binary` to compare with; empty: none")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long each line is measured")
	flag.DurationVar(&o.warmUp, "warm-up", 2*time.Second, "how long it runs before")
	flag.BoolVar(&o.memory, "memory", false, "measure memory with many distinct tokens instead")
	flag.DurationVar(&o.work, "work", 0, "how long this side works on each call of an event, as Kong's Lua code does (some 20µs); 0: no longer than it takes")
	flag.StringVar(&o.only, "only", "", "measure only lines whose name contains this")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	if err := run(context.Background(), o); err != nil {
		log.Fatal("bench: ", err)
	}
}

type options struct {
	plugin, baseline string
	duration, warmUp time.Duration
	memory           bool
	work             time.Duration
	only             string
}

func run(ctx context.Context, o options) error {
	if o.plugin == "" {
		return fmt.Errorf("-plugin is needed")
	}
	w, err := newWorld()
	if err != nil {
		return err
	}
	defer w.close()
	if o.memory {
		return measureMemory(ctx, w, o, os.Stdout)
	}
	return measureEvents(ctx, w, o, os.Stdout)
}
