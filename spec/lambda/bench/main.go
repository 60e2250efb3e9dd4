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
	"math/rand/v2"
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
	empty := flag.Bool("empty", false, "be a function that decides nothing, to measure what the exchange alone costs")
	flag.Parse()
	do := func() error { return run(o) }
	if *empty {
		do = answerAll
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	bootstrap, zip, node string
	rounds, events       int
}

// The contenders: the authorizers, and functions that decide nothing.
const (
	goJWT = iota
	uncached
	node
	emptyGo
	emptyNode
)

// contender is a function that is measured.
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
	self, err := os.Executable()
	if err != nil {
		return err
	}
	nodeEnv := []string{"NODE_EXTRA_CA_CERTS=" + ca, "ISSUER=" + p.URL, "AUDIENCE=api", "PATH=" + os.Getenv("PATH")}
	nodeDir := filepath.Join(o.node, "lambda")
	all := [...]*contender{
		goJWT:     {"go-jwt", config("300"), dir, []string{o.bootstrap}},
		uncached:  {"go-jwt, cache_ttl 0", config("0"), dir, []string{o.bootstrap}},
		node:      {"Node, aws-jwt-verify", nodeEnv, nodeDir, []string{"node", "runtime.mjs", "./authorizer.mjs"}},
		emptyGo:   {"empty, Go", nil, dir, []string{self, "-empty"}},
		emptyNode: {"empty, Node", nodeEnv, nodeDir, []string{"node", "runtime.mjs", "./empty.mjs"}},
	}
	event := func(alg string, n int) ([]byte, error) {
		token, err := p.Token(keys[alg], map[string]any{"aud": "api", "role": "admin", "jti": fmt.Sprint(n)}, nil)
		r := lambda.Request{Path: "/orders", Headers: [][2]string{{"Authorization", "Bearer " + token}}}
		return r.Event(lambda.RESTToken), err
	}
	t := table{tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	if err := t.cold(o, []*contender{all[goJWT], all[node]}, event); err != nil {
		return err
	}
	if err := t.warm(o, all[:], event); err != nil {
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
			_, err = allowed(f, e)
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

// warm measures calls of running functions, each of which is called once in turn,
// in an order that changes.
func (t table) warm(o options, c []*contender, event func(string, int) ([]byte, error)) error {
	running := make([]*lambda.Function, len(c))
	for i := range c {
		f, err := c[i].start()
		if err != nil {
			return err
		}
		defer f.Close()
		running[i] = f
	}
	p50, cpu := make([]float64, len(c)), make([]float64, len(c)) // of one algorithm, in µs
	rows := func(what string, ours, theirs int) {
		t.row(what+", p50", "µs", p50[ours], p50[theirs])
		t.row("  its processor time", "µs", cpu[ours], cpu[theirs])
	}
	for alg := range strings.FieldsSeq(algorithms) {
		e, err := event(alg, 0)
		if err != nil {
			return err
		}
		const warmUp = 500
		times := make([][]float64, len(c))
		for n := range o.events + warmUp {
			for _, i := range rand.Perm(len(c)) {
				if n == warmUp {
					taken, err := running[i].CPU()
					if err != nil {
						return err
					}
					cpu[i] = -taken.Seconds() * 1e6
				}
				took, err := allowed(running[i], e)
				if err != nil {
					return fmt.Errorf("%s: %w\n%s", c[i].name, err, running[i].Log)
				}
				if n >= warmUp {
					times[i] = append(times[i], took.Seconds()*1e6)
				}
			}
		}
		for i := range c {
			taken, err := running[i].CPU()
			if err != nil {
				return err
			}
			p50[i], cpu[i] = median(times[i]), (cpu[i]+taken.Seconds()*1e6)/float64(o.events)
		}
		rows("warm call, "+alg, goJWT, node)
		rows("with nothing remembered (cache_ttl 0), "+alg, uncached, node)
		rows("a function that decides nothing", emptyGo, emptyNode)
	}
	var rss [2]float64
	for i, f := range []*lambda.Function{running[goJWT], running[node]} {
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

// allowed has f decide an event, which it must allow, and returns how long that took.
func allowed(f *lambda.Function, event []byte) (time.Duration, error) {
	a, err := f.Invoke(event)
	if err == nil && !strings.Contains(string(a.Body), `"Allow"`) {
		err = fmt.Errorf("not allowed: %s%s", a.Body, a.Message)
	}
	return a.Took, err
}

func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
