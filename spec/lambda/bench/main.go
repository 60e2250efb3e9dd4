// Command bench measures the Lambda authorizer beside a plain one for Node, by
// the same events in the same harness: time from start to first answer, time of
// a warm call, memory, size. Both fetch the keys of the same provider.
package main

import (
	"archive/zip"
	"cmp"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"kong-go-jwt/spec/lambda"
	"kong-go-jwt/spec/oidc"
)

func main() {
	o := options{}
	flag.StringVar(&o.bootstrap, "bootstrap", "bin/lambda/amd64/bootstrap", "the authorizer's `binary`")
	flag.StringVar(&o.zip, "zip", "bin/go-jwt-lambda-amd64.zip", "its `file` for Lambda")
	flag.StringVar(&o.node, "node", "spec/node", "`directory` with package.json, in which npm ci was run")
	flag.IntVar(&o.rounds, "rounds", 15, "how often each is started")
	flag.IntVar(&o.events, "events", 2000, "how many warm events are measured of each kind")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	bootstrap, zip, node string
	rounds, events       int
}

// contender is one of the two authorizers.
type contender struct {
	name string
	env  []string
	dir  string
	args []string // the program first
}

func (c *contender) start() (*lambda.Function, error) {
	return lambda.Start(c.dir, c.env, c.args[0], c.args[1:]...)
}

const algorithms = "RS256 ES256 EdDSA"

func run(o options) error {
	p := oidc.New()
	defer p.Close()
	dir, err := os.MkdirTemp("", "lambda-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ca := filepath.Join(dir, "ca.pem")
	if err := p.WriteCA(ca); err != nil {
		return err
	}
	keys := map[string]*oidc.Key{}
	for alg := range strings.FieldsSeq(algorithms) {
		if keys[alg], err = p.Add(alg, alg); err != nil {
			return err
		}
	}
	if o.node, err = filepath.Abs(o.node); err != nil {
		return err
	}
	if o.bootstrap, err = filepath.Abs(o.bootstrap); err != nil {
		return err
	}
	config := func(ttl string) []string {
		return []string{"SSL_CERT_FILE=" + ca, fmt.Sprintf(`GO_JWT_CONFIG={"issuers":[{"issuer":%q,"jwks_uri":%q,"audience":["api"],`+
			`"algorithms":["RS256","ES256","EdDSA"]}],"cache_ttl":%s,"claims_to_headers":[{"header":"userId","claim":["sub"]},{"header":"role","claim":["role"]}]}`,
			p.URL, p.URL+"/keys", ttl)}
	}
	ours := &contender{"go-jwt", config("300"), dir, []string{o.bootstrap}}
	uncached := &contender{"go-jwt, cache_ttl 0", config("0"), dir, []string{o.bootstrap}}
	node := &contender{
		"Node, aws-jwt-verify",
		[]string{"NODE_EXTRA_CA_CERTS=" + ca, "ISSUER=" + p.URL, "AUDIENCE=api", "PATH=" + os.Getenv("PATH")},
		filepath.Join(o.node, "lambda"),
		[]string{"node", "runtime.mjs"},
	}
	event := func(alg string, n int) ([]byte, error) {
		token, err := p.Token(keys[alg], map[string]any{"aud": "api", "role": "admin", "jti": fmt.Sprint(n)}, nil)
		r := lambda.Request{Path: "/orders", Headers: [][2]string{{"Authorization", "Bearer " + token}}}
		return r.Event(lambda.RESTToken), err
	}
	t := table{tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	if err := t.cold(o, []*contender{ours, node}, event); err != nil {
		return err
	}
	if err := t.warm(o, []*contender{ours, uncached, node}, event); err != nil {
		return err
	}
	return t.size(o)
}

// table is what is printed.
type table struct{ *tabwriter.Writer }

func (t table) row(what, unit string, ours, theirs float64) {
	fmt.Fprintf(t, "%s\t%.3g %s\t%.3g %s\t%.2f\n", what, ours, unit, theirs, unit, ours/theirs)
}

// cold starts each in turn, again and again, and takes the medians.
func (t table) cold(o options, contenders []*contender, event func(string, int) ([]byte, error)) error {
	e, err := event("RS256", 0)
	if err != nil {
		return err
	}
	times, memory := make([][]float64, len(contenders)), make([][]float64, len(contenders))
	for range o.rounds {
		for i, c := range contenders {
			begun := time.Now()
			f, err := c.start()
			if err != nil {
				return err
			}
			err = allowed(f, e)
			times[i] = append(times[i], time.Since(begun).Seconds()*1e3)
			if err == nil {
				var rss int
				rss, err = f.MaxRSS()
				memory[i] = append(memory[i], float64(rss)/(1<<20))
			}
			f.Close()
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", c.name, err, f.Log)
			}
		}
	}
	fmt.Fprintf(t, "\tgo-jwt\tNode\tratio\n")
	t.row("cold: start to first answer, RS256", "ms", median(times[0]), median(times[1]))
	t.row("memory after it", "MiB", median(memory[0]), median(memory[1]))
	return nil
}

// warm measures calls of running functions, in turn. The first of contenders
// remembers tokens, the last is the one to compare with.
func (t table) warm(o options, contenders []*contender, event func(string, int) ([]byte, error)) error {
	running := make([]*lambda.Function, len(contenders))
	for i, c := range contenders {
		f, err := c.start()
		if err != nil {
			return err
		}
		defer f.Close()
		running[i] = f
	}
	for alg := range strings.FieldsSeq(algorithms) {
		e, err := event(alg, 0)
		if err != nil {
			return err
		}
		p50, cpu := make([][]float64, len(contenders)), make([]float64, len(contenders))
		const warmUp = 500
		for n := range o.events + warmUp {
			for i, f := range running {
				if n == warmUp {
					took, err := f.CPU()
					if err != nil {
						return err
					}
					cpu[i] = -took.Seconds() * 1e6
				}
				begun := time.Now()
				if err := allowed(f, e); err != nil {
					return fmt.Errorf("%s: %w\n%s", contenders[i].name, err, f.Log)
				}
				if n >= warmUp {
					p50[i] = append(p50[i], time.Since(begun).Seconds()*1e6)
				}
			}
		}
		for i, f := range running {
			took, err := f.CPU()
			if err != nil {
				return err
			}
			cpu[i] = (cpu[i] + took.Seconds()*1e6) / float64(o.events)
		}
		theirs, last := median(p50[len(p50)-1]), cpu[len(cpu)-1]
		t.row("warm call, "+alg+", p50", "µs", median(p50[0]), theirs)
		t.row("  its processor time", "µs", cpu[0], last)
		t.row("  p50 with nothing remembered (cache_ttl 0)", "µs", median(p50[1]), theirs)
		t.row("  its processor time", "µs", cpu[1], last)
	}
	var rss [2]float64
	for i, f := range []*lambda.Function{running[0], running[len(running)-1]} {
		n, err := f.MaxRSS()
		if err != nil {
			return err
		}
		rss[i] = float64(n) / (1 << 20)
	}
	t.row("most memory, warm", "MiB", rss[0], rss[1])
	return nil
}

func (t table) size(o options) error {
	info, err := os.Stat(o.zip)
	if err != nil {
		return err
	}
	theirs, err := zipped(o.node)
	if err != nil {
		return err
	}
	t.row("zip", "MiB", float64(info.Size())/(1<<20), float64(theirs)/(1<<20))
	return t.Flush()
}

// zipped is how large the authorizer for Node is as a zip, with what it needs of
// its dependency.
func zipped(dir string) (n int, err error) {
	counter := new(count)
	w := zip.NewWriter(counter)
	for _, part := range []string{"lambda", "node_modules/aws-jwt-verify"} {
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, ".d.ts") {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			entry, err := w.Create(path)
			if err != nil {
				return err
			}
			_, err = io.Copy(entry, f)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	err = w.Close()
	return counter.n, err
}

type count struct{ n int }

func (c *count) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

// allowed has f decide an event, which it must allow.
func allowed(f *lambda.Function, event []byte) error {
	a, err := f.Invoke(event)
	if err == nil && !strings.Contains(string(a.Body), `"Allow"`) {
		err = fmt.Errorf("not allowed: %s%s", a.Body, a.Message)
	}
	return err
}

func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
