package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what the plugin's process was like at some time.
type sample struct {
	at                              time.Duration
	process                         string // when it was started
	memory                          float64
	goroutines, threads, descriptor int
}

// observe looks at the plugin's process from time to time.
func (w *world) observe(ctx context.Context) (samples []sample) {
	const often = 2 * time.Second
	started := time.Now()
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-tick.C:
		}
		values, err := w.readMetrics(ctx)
		if err != nil {
			continue // it is being replaced
		}
		number := func(name string) float64 {
			v, err := strconv.ParseFloat(values[name], 64)
			if err != nil {
				return 0
			}
			return v
		}
		samples = append(samples, sample{
			at: time.Since(started), process: values["process_start_time_seconds"], memory: number("process_resident_memory_bytes"),
			goroutines: int(number("go_goroutines")), threads: int(number("go_threads")), descriptor: int(number("process_open_fds")),
		})
	}
}

func (w *world) readMetrics(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := w.read(ctx, "http://"+w.metrics+"/metrics")
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			values[name] = value
		}
	}
	return values, nil
}

// report prints what was seen. The error tells what must not be.
func report(out io.Writer, w *world, l *load, samples []sample) error {
	var faults []error
	var total int64
	fmt.Fprintf(out, "\n| request | answer | how many |\n| --- | --- | ---: |\n")
	for _, kind := range slices.Sorted(maps.Keys(l.answers)) {
		for _, answer := range slices.Sorted(maps.Keys(l.answers[kind])) {
			n := l.answers[kind][answer]
			total += n
			fmt.Fprintf(out, "| %s | %s | %d |\n", kind, answer, n)
		}
	}
	slices.Sort(l.latencies)
	if n := len(l.latencies); n > 0 {
		fmt.Fprintf(out, "\n%d requests in %v, %.0f a second; p50 %v, p99 %v, longest seen %v. Wrong answers: %d.\n",
			total, l.took.Round(time.Second), float64(total)/l.took.Seconds(), l.latencies[n/2].Round(10*time.Microsecond),
			l.latencies[n*99/100].Round(10*time.Microsecond), l.latencies[n-1].Round(time.Millisecond), l.wrong)
	}
	if l.wrong > 0 || total == 0 {
		faults = append(faults, fmt.Errorf("%d of %d answers were wrong", l.wrong, total))
	}
	fmt.Fprintf(out, "\n| what happened | times |\n| --- | ---: |\n")
	for _, what := range slices.Sorted(maps.Keys(w.happened)) {
		fmt.Fprintf(out, "| %s | %d |\n", what, w.happened[what])
	}
	faults = append(faults, reportSamples(out, samples, l.connections))
	if log := w.log.String(); strings.Contains(log, "msg=panic") || strings.Contains(log, "DATA RACE") || strings.Contains(log, "terminated") {
		faults = append(faults, errors.New("the plugin server panicked or died, see its log"))
	}
	if err := errors.Join(faults...); err != nil {
		fmt.Fprintf(out, "\nThe end of the gateway's log:\n%s\n", tail(w.log.String(), 8<<10))
		return err
	}
	return nil
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// reportSamples prints about twenty samples, and compares the first and the last
// quarter of the time that the last process lived, after it had warmed up.
func reportSamples(out io.Writer, samples []sample, connections int) error {
	if len(samples) == 0 {
		return errors.New("the plugin's process was never seen")
	}
	fmt.Fprintf(out, "\n| at | resident MiB | goroutines | threads | descriptors |\n| ---: | ---: | ---: | ---: | ---: |\n")
	for i := 0; i < len(samples); i += max(1, len(samples)/20) {
		s := samples[i]
		fmt.Fprintf(out, "| %v | %.0f | %d | %d | %d |\n", s.at.Round(time.Second), s.memory/(1<<20), s.goroutines, s.threads, s.descriptor)
	}
	var last []sample
	for _, s := range samples {
		if s.process == samples[len(samples)-1].process {
			last = append(last, s)
		}
	}
	last = last[len(last)/5:] // it warms up
	quarter := max(1, len(last)/4)
	mean := func(of []sample) (memory, goroutines, threads float64) {
		for _, s := range of {
			memory, goroutines, threads = memory+s.memory, goroutines+float64(s.goroutines), threads+float64(s.threads)
		}
		n := float64(len(of))
		return memory / n / (1 << 20), goroutines / n, threads / n
	}
	m1, g1, t1 := mean(last[:quarter])
	m2, g2, t2 := mean(last[len(last)-quarter:])
	over := last[len(last)-1].at - last[0].at
	fmt.Fprintf(out, "\nThe last process, first and last quarter of %v: %.1f and %.1f MiB, %.1f and %.1f goroutines, %.1f and %.1f threads.\n",
		over.Round(time.Second), m1, m2, g1, g2, t1, t2)
	// Go keeps a thread that once was needed, so threads have a bound, not a level.
	const moreMemory, mostThreads = 16, 300
	// In a short time, one sample stands against another one, and caches fill.
	const long = time.Minute
	grown := m2 > m1+moreMemory || g2 > g1+float64(connections)
	if over >= long && grown || t2 > mostThreads {
		return errors.New("the process has grown")
	}
	return nil
}

func (w *world) read(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := w.client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
