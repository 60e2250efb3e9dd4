package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
)

// line is one line of the table.
type line struct {
	name, binary string
	args         []string
	config       string
	connections  int
	request      *pdk
	refused      bool
}

// sample is what the kernel counts of a process.
type sample struct {
	cpu           time.Duration
	reads, writes int64
	switches      int64
	rss           int64 // bytes
}

func (s sample) minus(t sample) sample {
	return sample{s.cpu - t.cpu, s.reads - t.reads, s.writes - t.writes, s.switches - t.switches, s.rss}
}

func measureEvents(ctx context.Context, w *world, o options, out io.Writer) error {
	admin := []string{"-admin-url", w.admin.URL}
	tokens := map[string]string{}
	for _, algorithm := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		var err error
		if tokens[algorithm], err = w.token(algorithm, 1); err != nil {
			return err
		}
	}
	bad := tokens["HS256"][:len(tokens["HS256"])-4] + "AAAA"
	lines := []line{}
	for _, n := range []int{1, 16, 64} {
		lines = append(lines,
			line{name: "HS256, variable", binary: o.plugin, args: admin, connections: n, request: newPDK(tokens["HS256"], true)},
			line{name: "HS256, 13 headers", binary: o.plugin, args: admin, connections: n, request: newPDK(tokens["HS256"], false)},
			line{name: "baseline HS256", binary: o.baseline, args: admin, connections: n, request: newPDK(tokens["HS256"], false)})
	}
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		lines = append(lines,
			line{name: algorithm + ", variable", binary: o.plugin, args: admin, connections: 16, request: newPDK(tokens[algorithm], true)},
			line{name: algorithm + ", uncached", binary: o.plugin, args: admin, config: `{"cache_ttl":0}`, connections: 16, request: newPDK(tokens[algorithm], true)},
			line{name: "baseline " + algorithm, binary: o.baseline, args: admin, connections: 16, request: newPDK(tokens[algorithm], false)})
	}
	lines = append(lines,
		line{name: "bad signature, variable", binary: o.plugin, args: admin, connections: 16, request: newPDK(bad, true), refused: true},
		line{name: "baseline bad signature", binary: o.baseline, args: admin, connections: 16, request: newPDK(bad, false), refused: true})

	fmt.Fprintln(out, "| what | connections | events/s | p50 µs | p99 µs | CPU µs/event | reads/event | writes/event | switches/event |")
	fmt.Fprintln(out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, l := range lines {
		if l.binary == "" || !strings.Contains(l.name+" "+strconv.Itoa(l.connections), o.only) {
			continue
		}
		if err := l.measure(ctx, o, out); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

func (l *line) measure(ctx context.Context, o options, out io.Writer) error {
	p, err := start(ctx, l.binary, l.args)
	if err != nil {
		return err
	}
	defer p.stop()
	l.request.work = o.work
	if l.config == "" {
		l.config = "{}"
	}
	if _, err := l.drive(ctx, p, o.warmUp); err != nil {
		return err
	}
	before, err := p.sample()
	if err != nil {
		return err
	}
	began := time.Now()
	latencies, err := l.drive(ctx, p, o.duration)
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := p.sample()
	if err != nil {
		return err
	}
	used, n := after.minus(before), float64(len(latencies))
	slices.Sort(latencies)
	quantile := func(q float64) int64 { return latencies[int(q*n)].Microseconds() }
	fmt.Fprintf(out, "| %s | %d | %.0f | %d | %d | %.1f | %.2f | %.2f | %.2f |\n",
		l.name, l.connections, n/took.Seconds(), quantile(0.5), quantile(0.99),
		float64(used.cpu.Microseconds())/n, float64(used.reads)/n, float64(used.writes)/n, float64(used.switches)/n)
	return nil
}

// drive keeps all connections busy for some time, and returns how long each
// event took.
func (l *line) drive(ctx context.Context, p *process, d time.Duration) ([]time.Duration, error) {
	client := pluginserver.NewClient(p.socket, new(pluginserver.Stats), func(string) {}, nginx.NewErrorLog(io.Discard, nginx.Alert))
	defer client.Close()
	var (
		all  []time.Duration
		mu   sync.Mutex
		done sync.WaitGroup
		stop atomic.Bool
		errs []error
	)
	time.AfterFunc(d, func() { stop.Store(true) })
	for range l.connections {
		done.Go(func() {
			own := make([]time.Duration, 0, 1<<14)
			request := *l.request
			var err error
			for !stop.Load() && err == nil {
				began := time.Now()
				for time.Since(began) < request.work { // what Kong does beside
				}
				err = client.Event(ctx, pluginserver.Plugin{ID: "p", Name: "go-jwt", Seq: 1, Config: []byte(l.config)}, "access", &request)
				if l.refused != errors.Is(err, pluginserver.ErrExit) {
					err = errors.Join(errRefused, err, request.wrong)
				} else {
					err = nil
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			all, errs = append(all, own...), append(errs, err)
			mu.Unlock()
		})
	}
	done.Wait()
	return all, errors.Join(errs...)
}

// process is a plugin server under measurement.
type process struct {
	cmd    *exec.Cmd
	socket string
	prefix string
}

func start(ctx context.Context, binary string, args []string) (*process, error) {
	prefix, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	p := &process{prefix: prefix, socket: filepath.Join(prefix, filepath.Base(binary)+".socket")}
	p.cmd = exec.CommandContext(ctx, binary, append([]string{"-kong-prefix", prefix}, args...)...)
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = []string{} // as nginx leaves it
	if strings.Contains(os.Getenv("BENCH_ENV"), "=") {
		p.cmd.Env = strings.Fields(os.Getenv("BENCH_ENV"))
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	const patience = 100
	for range patience {
		if _, err := os.Stat(p.socket); err == nil {
			return p, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%s makes no socket", binary)
}

func (p *process) stop() {
	if err := p.cmd.Process.Kill(); err != nil {
		log.Print(err)
	}
	p.cmd.Wait()
	os.RemoveAll(p.prefix)
}

// sample reads the counters of the process from /proc.
func (p *process) sample() (s sample, err error) {
	dir := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return s, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	const userTime, systemTime, tick = 11, 12, 10 * time.Millisecond // USER_HZ is 100
	for _, i := range []int{userTime, systemTime} {
		n, err := strconv.Atoi(f[i])
		if err != nil {
			return s, err
		}
		s.cpu += time.Duration(n) * tick
	}
	if s.reads, err = counter(dir+"/io", "syscr:"); err != nil {
		return s, err
	}
	if s.writes, err = counter(dir+"/io", "syscw:"); err != nil {
		return s, err
	}
	rss, err := counter(dir+"/status", "VmRSS:")
	if err != nil {
		return s, err
	}
	s.rss = rss << 10
	tasks, err := filepath.Glob(dir + "/task/*/status")
	for _, t := range tasks {
		for _, name := range []string{"voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"} {
			n, e := counter(t, name)
			err = errors.Join(err, e)
			s.switches += n
		}
	}
	return s, err
}

func counter(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) >= 2 && f[0] == name {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}
