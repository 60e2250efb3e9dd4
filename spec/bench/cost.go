package main

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kong-go-jwt/spec/gateway/wire"
)

// What a real Kong's worker spends, in CPU time, on a request and its calls. It is
// made to meet what was measured of whole requests on Kong 3.9.3 (see
// docs/performance.md): 86 µs with HS256, 76 without the shared token, 100 with
// all headers read, 115 with 19 more headers removed, 107 for a refusal.
const (
	costRequest = 25 * time.Microsecond // without any authentication
	costEvent   = 16 * time.Microsecond
	costCall    = 9 * time.Microsecond
	costShared  = 10 * time.Microsecond
	costHeaders = 14 * time.Microsecond  // get_headers, of 13
	costHeader  = 1600 * time.Nanosecond // set or removed
	costExit    = 57 * time.Microsecond  // and a new connection
	bundledHS   = 70 * time.Microsecond  // the bundled plugin, on the same machine
	bundledNo   = 65 * time.Microsecond  // a bad signature
)

func cost(method string, args []byte) time.Duration {
	switch method {
	case "kong.request.get_headers":
		return costHeaders
	case "kong.ctx.shared.set":
		return costShared
	case "kong.response.exit":
		return costExit
	case "kong.service.request.set_headers":
		headers, err := wire.DecodeStruct(args)
		if err != nil {
			return 0 // and the call fails
		}
		return costCall + time.Duration(len(headers))*costHeader
	}
	return costCall
}

// worker is the CPU time of one nginx worker.
type worker struct {
	paced bool

	mu    sync.Mutex
	spent time.Duration // by the table
	ahead time.Duration // CPU time of this process at which it has spent as much
}

// pause has spend begin anew: what this process did meanwhile was for others.
func (w *worker) pause() { w.ahead = cpuTime() }

// spend spends CPU time, until this process has spent as much in all as the worker
// it plays would have.
func (w *worker) spend(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spent, w.ahead = w.spent+d, w.ahead+d
	for w.paced && cpuTime() < w.ahead {
	}
}

func cpuTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
