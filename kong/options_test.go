package kong_test

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/kong"
)

// A wrong flag is told in one line, not with all the flags there are.
func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-no-such-flag":                  "flags: flag provided but not defined: -no-such-flag",
		"-grace soon":                    `flags: invalid value "soon" for flag -grace: parse error`,
		"stray":                          `unexpected argument "stray"`,
		"-header X":                      "-header: needs -nginx-conf",
		"-header X -nginx-conf":          "",
		"-edge":                          "-edge: needs -nginx-conf",
		"-edge -nginx-conf":              "",
		"-metrics-listen 9542":           `-metrics-listen: "9542" is not host:port`,
		"-metrics-listen :9542":          "",
		"-metrics-listen :9542 -pprof":   "",
		"-pprof":                         "-pprof: needs -metrics-listen",
		"-admin-timeout 1ms":             "",
		"-admin-timeout 999us":           "-admin-timeout: must be at least 1ms",
		"-credential-ttl 1s":             "",
		"-credential-ttl 999ms":          "-credential-ttl: must be at least 1s",
		"-unknown-ttl 0s":                "-unknown-ttl: must be at least 1ms",
		"-grace 0s":                      "",
		"-grace -1ns":                    "-grace: must be at least 0s",
		"-jwks-refresh 999ms":            "-jwks-refresh: must be at least 1s",
		"-jwks-stale 999ms":              "-jwks-stale: must be at least 1s",
		"-jwks-min-interval 100ms":       "",
		"-jwks-min-interval 99ms":        "-jwks-min-interval: must be at least 100ms",
		"-admin-connections 1":           "",
		"-admin-connections 0":           "-admin-connections: must be at least 1",
		"-admin-rate 0":                  "-admin-rate: must be at least 1",
		"-store-rate 0":                  "-store-rate: must be at least 1",
		"-credential-entries 0":          "-credential-entries: must be at least 1",
		"-cache-entries 0":               "-cache-entries: must be at least 1",
		"-dpop-proofs 0":                 "-dpop-proofs: must be at least 1",
		"-cache-bytes 1048576":           "",
		"-cache-bytes 1048575":           "-cache-bytes: must be at least 1048576",
		"-cache-bytes 1048575 -grace 1s": "-cache-bytes: must be at least 1048576",
	} {
		t.Run(args, func(t *testing.T) {
			var out strings.Builder
			_, err := kong.ParseFlags(&out, "about", strings.Fields(args))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != want || out.Len() > 0 {
				t.Errorf("got %q, and wrote %q; want %q", got, out.String(), want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	if _, err := kong.ParseFlags(&out, "about", []string{"-help"}); !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(out.String(), "about\n") || !strings.Contains(out.String(), "-cache-bytes") {
		t.Errorf("%v, and %q", err, out.String())
	}
}

// What the documentation says that holds without flags.
func TestDefaults(t *testing.T) {
	o, err := kong.ParseFlags(new(strings.Builder), "about", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]struct{ got, want time.Duration }{
		"admin-timeout":          {o.Source.Admin.Timeout, 2 * time.Second},
		"admin-timeout, store":   {o.Store.LookupTimeout, 2 * time.Second},
		"admin-timeout, by node": {o.Source.Node.Timeout, 2 * time.Second},
		"jwks-refresh":           {o.JWKS.Refresh, 5 * time.Minute},
		"jwks-stale":             {o.JWKS.Stale, 24 * time.Hour},
		"jwks-min-interval":      {o.JWKS.MinInterval, 10 * time.Second},
		"credential-ttl":         {o.Store.CredentialTTL, 30 * time.Second},
		"unknown-ttl":            {o.Store.UnknownTTL, 5 * time.Second},
		"grace":                  {o.Store.Grace, 5 * time.Minute},
	} {
		if d.got != d.want {
			t.Errorf("-%s is %v, want %v", name, d.got, d.want)
		}
	}
	for name, n := range map[string]struct{ got, want int }{
		"admin-connections":  {o.Source.Admin.AtOnce, 16},
		"admin-rate":         {o.Source.Admin.Rate, 200},
		"store-rate":         {o.Source.QueryRate, 1000},
		"credential-entries": {o.Store.CredentialEntries, 100_000},
		"cache-entries":      {o.Store.DecisionEntries, 100_000},
		"cache-bytes":        {o.Store.DecisionBytes, 64 << 20},
		"dpop-proofs":        {o.Store.ProofEntries, 500_000},
	} {
		if n.got != n.want {
			t.Errorf("-%s is %d, want %d", name, n.got, n.want)
		}
	}
}
