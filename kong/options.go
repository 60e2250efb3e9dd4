package kong

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"time"

	"kong-go-jwt/kong/source"
	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwks"
	"kong-go-jwt/schema"
)

// Options are the flags of the command. nginx empties the environment of what
// it starts, so flags, and the plugin's configuration, are all there is.
type Options struct {
	Prefix        string // Kong's prefix directory
	Dump, Version bool
	Lua           bool // print the schema in Lua
	NginxConf     bool // print the nginx include
	Nginx         NginxOptions
	Source        source.Options
	AdminCA       string // file of PEM certificates to trust for the Admin API; "": the system's
	Store         plugin.Options
	JWKS          jwks.Options
	Metrics       string // address of /metrics and /healthz; "": none
	Profiles      bool   // /debug/pprof/ too
}

// ParseFlags reads the command's arguments. The error is [flag.ErrHelp] if help
// was asked for, which is written to w then, and else names the flag at fault.
func ParseFlags(w io.Writer, about string, args []string) (*Options, error) {
	o := &Options{Store: plugin.Options{
		Now:            time.Now,
		UnknownEntries: 100_000,
	}}
	f := flag.NewFlagSet(schema.Name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // one line is enough: Kong starts the command again and again
	f.StringVar(&o.Prefix, "kong-prefix", "/usr/local/kong", "Kong's prefix `directory`, in which the plugin makes its socket")
	f.BoolVar(&o.Dump, "dump", false, "print the plugin's schema for Kong, as JSON, and exit")
	f.BoolVar(&o.Lua, "schema-lua", false, "print the plugin's schema in Lua, for control planes such as Konnect that need a schema.lua, and exit")
	f.BoolVar(&o.NginxConf, "nginx-conf", false, "print the include for Kong's nginx (nginx_http_include) and exit; it is only for this -kong-prefix")
	f.BoolVar(&o.Nginx.Edge, "edge", false, "with -nginx-conf: make nginx remove the identity headers that clients send, in every spelling; do not use it for a Kong behind another Kong")
	f.Func("header", "with -nginx-conf: make the include pass the header of that `name` to the plugin too; may be repeated", func(name string) error {
		o.Nginx.Headers = append(o.Nginx.Headers, name)
		return nil
	})
	f.BoolVar(&o.Version, "version", false, "print the version and exit")
	f.StringVar(&o.Source.Use, "store", "auto", "`where` to look up credentials: node (this node's store, through the include that -nginx-conf prints), admin (the Admin API), none (only those in the plugin's configuration), or auto (node if the include is there, else admin)")
	f.IntVar(&o.Source.QueryRate, "store-rate", 1000, "with a database: most lookups of unknown keys per second in the node's store; further requests wait")
	f.StringVar(&o.Source.Admin.URL, "admin-url", "http://127.0.0.1:8001", "`URL` of Kong's Admin API, used if the node's store is not; empty: there is none")
	f.StringVar(&o.Source.Admin.TokenFile, "admin-token-file", "", "`file` with the value of Kong-Admin-Token for the Admin API")
	f.StringVar(&o.AdminCA, "admin-ca", "", "`file` with PEM certificates to trust for an https Admin API")
	f.DurationVar(&o.Source.Admin.Timeout, "admin-timeout", 2*time.Second, "longest time that a request waits for a credential or consumer")
	f.IntVar(&o.Source.Admin.AtOnce, "admin-connections", 16, "most requests to the Admin API at once")
	f.IntVar(&o.Source.Admin.Rate, "admin-rate", 200, "most lookups of unknown keys per second at the Admin API; further requests get 503")
	o.JWKS.Flags(f)
	f.DurationVar(&o.JWKS.Refresh, "jwks-refresh", 5*time.Minute, "how often to fetch issuers' keys, unless their Cache-Control says otherwise")
	f.DurationVar(&o.JWKS.Stale, "jwks-stale", 24*time.Hour, "how long issuers' keys stay in use while they cannot be fetched")
	f.DurationVar(&o.JWKS.MinInterval, "jwks-min-interval", 10*time.Second, "a token with an unknown key makes the plugin fetch the issuer's keys again, but at most once in this time")
	f.DurationVar(&o.Store.CredentialTTL, "credential-ttl", 30*time.Second, "how long a credential or consumer is used before it is looked up again")
	f.DurationVar(&o.Store.UnknownTTL, "unknown-ttl", 5*time.Second, "how long the plugin remembers that a credential does not exist")
	f.DurationVar(&o.Store.Grace, "grace", 5*time.Minute, "how long known credentials stay in use while they cannot be looked up")
	f.IntVar(&o.Store.CredentialEntries, "credential-entries", 100_000, "most credentials, and most consumers, to remember")
	f.IntVar(&o.Store.ProofEntries, "dpop-proofs", 500_000, "most DPoP proofs to remember, each until it is too old to be used again; beyond that, new ones get 503")
	f.IntVar(&o.Store.DecisionEntries, "cache-entries", 100_000, "most accepted tokens to remember")
	f.IntVar(&o.Store.DecisionBytes, "cache-bytes", 64<<20, "most memory for the accepted tokens, in `bytes`; the process may use twice as much")
	f.StringVar(&o.Metrics, "metrics-listen", "", "`address` (host:port) at which to serve /metrics (for Prometheus), /healthz and /readyz; empty: do not serve them")
	f.BoolVar(&o.Profiles, "pprof", false, "with -metrics-listen: serve Go profiles at /debug/pprof/ too")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		f.SetOutput(w)
		_, _ = fmt.Fprintf(w, "%s\n\nFlags:\n", about)
		f.PrintDefaults()
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	o.Store.LookupTimeout = o.Source.Admin.Timeout
	o.Source.Node = source.NodeOptions{Socket: source.NodeSocket(o.Prefix), Timeout: o.Source.Admin.Timeout, AtOnce: nodeConnections}
	o.Nginx.Prefix = o.Prefix
	return o, o.check(f)
}

// nodeConnections is how many lookups in the node's store may be under way: more
// would find no worker that has nothing to do.
const nodeConnections = 32

func (o *Options) check(f *flag.FlagSet) error {
	switch {
	case len(o.Nginx.Headers) > 0 && !o.NginxConf:
		return errors.New("-header: needs -nginx-conf")
	case o.Nginx.Edge && !o.NginxConf:
		return errors.New("-edge: needs -nginx-conf")
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if _, _, err := net.SplitHostPort(o.Metrics); o.Metrics != "" && err != nil {
		return fmt.Errorf("-metrics-listen: %q is not host:port", o.Metrics)
	}
	if o.Profiles && o.Metrics == "" {
		return errors.New("-pprof: needs -metrics-listen")
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"admin-timeout", o.Source.Admin.Timeout, time.Millisecond},
		{"credential-ttl", o.Store.CredentialTTL, time.Second},
		{"unknown-ttl", o.Store.UnknownTTL, time.Millisecond},
		{"grace", o.Store.Grace, 0},
		{"jwks-refresh", o.JWKS.Refresh, time.Second},
		{"jwks-stale", o.JWKS.Stale, time.Second},
		{"jwks-min-interval", o.JWKS.MinInterval, 100 * time.Millisecond},
	} {
		if d.value < d.least {
			return fmt.Errorf("-%s: must be at least %v", d.name, d.least)
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"admin-connections", o.Source.Admin.AtOnce},
		{"admin-rate", o.Source.Admin.Rate},
		{"store-rate", o.Source.QueryRate},
		{"credential-entries", o.Store.CredentialEntries},
		{"cache-entries", o.Store.DecisionEntries},
		{"dpop-proofs", o.Store.ProofEntries},
	} {
		if n.value < 1 {
			return fmt.Errorf("-%s: must be at least 1", n.name)
		}
	}
	const leastBytes = 1 << 20
	if o.Store.DecisionBytes < leastBytes {
		return fmt.Errorf("-cache-bytes: must be at least %d", leastBytes)
	}
	return nil
}
