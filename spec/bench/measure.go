package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
)

// subject is a plugin binary under measurement, with what was seen of it.
type subject struct {
	name, binary, config string
	request              *pdk

	process   *process
	worker    worker
	used      sample
	took      time.Duration
	latencies []time.Duration
}

func measureEvents(ctx context.Context, w *world, o options, out io.Writer) error {
	lines, err := w.lines()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "| what | connections | events/s | p50 µs | p99 µs | CPU µs | reads | writes | switches | CPU, of base's | Kong µs | of bundled |")
	fmt.Fprintln(out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, l := range lines {
		if !strings.Contains(l.name+" "+strconv.Itoa(l.connections), o.only) {
			continue
		}
		if err := l.measure(ctx, []string{"-admin-url", w.admin.URL}, o, out); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

// subjects are the binaries that the line is measured with.
func (l *line) subjects(ctx context.Context, o options) ([]*subject, error) {
	tag, err := tagOf(ctx, o.plugin, l.include)
	if err != nil {
		return nil, err
	}
	all := []*subject{{name: l.name, binary: o.plugin, config: l.config, request: newPDK(l.token, tag)}}
	if o.base != "" {
		config, include := cmp.Or(l.baseConfig, l.config), l.include
		if tag, err = tagOf(ctx, o.base, include); err != nil {
			if tag, err = tagOf(ctx, o.base, ""); err != nil {
				return nil, err
			}
		}
		all = append(all, &subject{name: l.name + ", base", binary: o.base, config: config, request: newPDK(l.token, tag)})
	}
	if o.plain != "" && l.plain {
		all = append(all, &subject{name: l.name + ", plain go-pdk", binary: o.plain, request: newPDK(l.token, "")})
	}
	if o.floor != "" && l.floor {
		config := ""
		if l.refused {
			config = `{"refuse":true}`
		}
		all = append(all, &subject{name: l.name + ", floor", binary: o.floor, config: config, request: newPDK(l.token, "")})
	}
	return all, nil
}

// measure measures all that there is to compare by turns.
func (l *line) measure(ctx context.Context, args []string, o options, out io.Writer) error {
	subjects, err := l.subjects(ctx, o)
	if err != nil {
		return err
	}
	for _, s := range subjects {
		if s.process, err = start(ctx, s.binary, args); err != nil {
			return err
		}
		defer s.process.stop()
		if err := s.round(ctx, l, o.warmUp); err != nil {
			return err
		}
		s.used, s.took, s.latencies = sample{}, 0, nil
		s.worker = worker{paced: o.paced}
	}
	const rounds = 5
	for range rounds {
		for _, s := range subjects {
			if err := s.round(ctx, l, o.duration/rounds); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	for _, s := range subjects {
		s.print(out, l, subjects, o)
	}
	return nil
}

// round drives the process for some time, and adds up what that took.
func (s *subject) round(ctx context.Context, l *line, d time.Duration) error {
	before, err := s.process.sample()
	if err != nil {
		return err
	}
	began := time.Now()
	latencies, err := s.drive(ctx, l, d)
	if err != nil {
		return err
	}
	s.took += time.Since(began)
	after, err := s.process.sample()
	if err != nil {
		return err
	}
	s.used = s.used.plus(after.minus(before))
	s.latencies = append(s.latencies, latencies...)
	return nil
}

// drive keeps all connections busy for some time, and returns how long each
// event took.
func (s *subject) drive(ctx context.Context, l *line, d time.Duration) ([]time.Duration, error) {
	client := pluginserver.NewClient(s.process.socket, new(pluginserver.Stats), func(string) {}, nginx.NewErrorLog(io.Discard, nginx.Alert))
	defer client.Close()
	var (
		all  []time.Duration
		mu   sync.Mutex
		done sync.WaitGroup
		stop atomic.Bool
		errs []error
	)
	config := []byte(cmp.Or(s.config, "{}"))
	s.worker.pause()
	time.AfterFunc(d, func() { stop.Store(true) })
	for range l.connections {
		done.Go(func() {
			own := make([]time.Duration, 0, 1<<14)
			request := *s.request
			request.worker = &s.worker
			var err error
			for !stop.Load() && err == nil {
				began := time.Now()
				s.worker.spend(costRequest + costEvent)
				err = client.Event(ctx, pluginserver.Plugin{ID: "p", Name: "go-jwt", Seq: 1, Config: config}, "access", &request)
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

func (s *subject) print(out io.Writer, l *line, subjects []*subject, o options) {
	n := float64(len(s.latencies))
	slices.Sort(s.latencies)
	quantile := func(q float64) int64 { return s.latencies[int(q*n)].Microseconds() }
	perEvent := func(s *subject) float64 { return float64(s.used.cpu.Nanoseconds()) / 1e3 / float64(len(s.latencies)) }
	ofBase, ofBundled := "", ""
	if o.base != "" && s == subjects[0] {
		ofBase = fmt.Sprintf("%.2f", perEvent(s)/perEvent(subjects[1]))
	}
	kong := float64(s.worker.spent.Nanoseconds()) / 1e3 / n
	if l.bundled > 0 {
		ofBundled = fmt.Sprintf("%.2f", float64(l.bundled.Nanoseconds())/1e3/kong)
	}
	fmt.Fprintf(out, "| %s | %d | %.0f | %d | %d | %.1f | %.2f | %.2f | %.2f | %s | %.0f | %s |\n",
		s.name, l.connections, n/s.took.Seconds(), quantile(0.5), quantile(0.99),
		perEvent(s), float64(s.used.reads)/n, float64(s.used.writes)/n, float64(s.used.switches)/n, ofBase, kong, ofBundled)
}
