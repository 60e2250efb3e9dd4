// Bench drives plugin binaries over their sockets, as Kong does, and prints what
// an event costs: the command behind "make bench".
//
//	go run ./spec/bench -plugin ./bin/go-jwt -plain ./bin/baseline
//
// It plays one nginx worker (GOMAXPROCS is 1) that has as many requests under
// way as there are connections, and with -paced takes as long for each call as a
// real one. Binaries that are compared are measured by turns in one run: ratios
// can be relied on, absolute figures belong to the machine.
//
// "CPU µs" is the plugin process's user and system time for an event. "Kong µs" is
// what an event costs Kong's worker by the table in cost.go, that is, by the calls
// that are made, and "of bundled" what the bundled plugin costs it divided by that:
// the ratio of requests a second while the worker is what they wait for.
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
	flag.StringVar(&o.base, "base", "", "an earlier go-jwt `binary` to compare with; empty: none")
	flag.StringVar(&o.plain, "plain", "", "a plain go-pdk plugin's `binary` to compare with; empty: none")
	flag.StringVar(&o.floor, "floor", "", "floor.c's `binary`, which only reads and writes, to compare with; empty: none")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long each line is measured")
	flag.DurationVar(&o.warmUp, "warm-up", 2*time.Second, "how long it runs before")
	flag.BoolVar(&o.memory, "memory", false, "measure memory with many distinct tokens instead")
	flag.BoolVar(&o.paced, "paced", false, "spend as much CPU time on each call as a real Kong's worker does")
	flag.StringVar(&o.only, "only", "", "measure only lines whose name contains this")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	if err := run(context.Background(), o); err != nil {
		log.Fatal("bench: ", err)
	}
}

type options struct {
	plugin, base, plain, floor string
	duration, warmUp           time.Duration
	memory, paced              bool
	only                       string
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
