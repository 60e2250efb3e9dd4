package kong

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"kong-go-jwt/kong/source"
	"kong-go-jwt/plugin/jwks"
	"kong-go-jwt/plugin/revocation"
)

// Run is the plugin server's life: it listens on socket until ctx is done or
// its parent process is gone, and returns when running calls have ended. Its
// log, on w, becomes lines of Kong's error log.
func Run(ctx context.Context, o *Options, version, socket string, w io.Writer) error {
	const drain = 10 * time.Second
	ctx, orphaned := context.WithCancel(ctx)
	defer orphaned()
	go watchParent(ctx, os.Getppid(), orphaned)

	o.Store.Log = newErrorLog(time.Now).logger(printer(w))
	var counts *metrics
	if o.Metrics != "" {
		counts = newMetrics(version)
		o.Source.Metrics = counts
	}
	from, err := o.source()
	if err != nil {
		return err
	}
	if o.Source.Use != "none" {
		o.Store.Source, o.Store.Admit = from, from.Admit
	}
	o.Store.Used = counts.used
	o.JWKS.Log = o.Store.Log
	keys := jwks.New(o.JWKS)
	defer keys.Close()
	o.Store.Keys = keys
	lists := revocation.New(revocation.Options{Fetching: o.JWKS.Fetching(), Log: o.JWKS.Log})
	defer lists.Close()
	o.Store.Revocations = lists
	server, store := NewServer(o.Store, version)
	defer store.Close()
	listener, err := Listen(socket)
	if err != nil {
		return err
	}
	if counts != nil {
		server.metrics = counts
		counts.watch(server, keys, lists)
		go serveOperations(ctx, o.Metrics, operations(counts, o.Profiles, server.instances.keys), o.Store.Log)
	}
	// To the end, also while it drains: credentials are revoked by it.
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go from.Watch(watching, store)
	o.Store.Log.Info("listening", "socket", socket, "version", version)
	return server.Serve(ctx, listener, drain)
}

// source returns what o says that credentials are looked up in.
func (o *Options) source() (*source.Source, error) {
	var err error
	if o.Source.Admin.RootCAs, err = certificates("admin-ca", o.AdminCA); err != nil {
		return nil, fmt.Errorf("-%w", err)
	}
	o.Source.Log = o.Store.Log
	return source.New(o.Source)
}

// certificates reads the PEM certificates of the file that a flag names; nil,
// the system's, if it names none.
func certificates(flag, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // a nil pool means just that
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s contains no PEM certificate", flag, file)
	}
	return pool, nil
}

// printer writes to w, which Kong makes lines of its error log, with its own time.
func printer(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
}

// watchParent calls orphaned when the process that started this one is gone:
// Kong's next worker starts a server of its own.
func watchParent(ctx context.Context, parent int, orphaned func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent {
				orphaned()
				return
			}
		}
	}
}
