package kong

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kong-go-jwt/plugin/assertion"
)

// operations serves those who watch over the process: /metrics, /healthz (it is
// alive), /readyz (it can decide; see readiness) and, if asked for, /debug/pprof/.
// It publishes the keys of upstream assertions too.
func operations(m *metrics, profiles bool, keys func() []assertion.Key) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // the client's loss
	})
	mux.Handle("GET /readyz", &m.ready)
	mux.HandleFunc("GET "+assertion.KeySetPath, func(w http.ResponseWriter, _ *http.Request) {
		set, err := assertion.KeySet(keys())
		if err != nil { // strings always encode
			http.Error(w, "keys cannot be published", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache") // there may be more with the next configuration
		_, _ = w.Write(set)                         // the client's loss
	})
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// serveOperations serves h on address until ctx is done. While that address is
// taken, it tries again. After each reload of Kong it is, until the server before
// this one has gone: that is no warning yet. An address that cannot be had does not
// keep requests from being authenticated.
func serveOperations(ctx context.Context, address string, h http.Handler, log *slog.Logger) {
	const (
		again = 200 * time.Millisecond
		usual = 25 // tries: 5 seconds
		yet   = "metrics cannot be served yet: trying again"
	)
	for try := 1; ; try++ {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			log.Info("serving metrics", "address", l.Addr())
			s := &http.Server{
				Handler: h, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
				ReadTimeout: 5 * time.Second, IdleTimeout: time.Minute, WriteTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10,
			}
			// At once: a successor waits for the address.
			context.AfterFunc(ctx, func() { _ = s.Close() }) // nothing to be done about it
			if err = s.Serve(l); errors.Is(err, http.ErrServerClosed) {
				return
			}
		}
		switch try {
		case 1:
			log.Info(yet, "address", address, "why", err)
		case usual:
			log.Warn(yet, "address", address, "why", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}
