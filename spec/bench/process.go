package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sample is what the kernel counts of a process.
type sample struct {
	cpu           time.Duration // user and system time of all threads
	reads, writes int64
	switches      int64
	rss           int64 // bytes
}

func (s sample) minus(t sample) sample {
	return sample{s.cpu - t.cpu, s.reads - t.reads, s.writes - t.writes, s.switches - t.switches, s.rss}
}

func (s sample) plus(t sample) sample {
	return sample{s.cpu + t.cpu, s.reads + t.reads, s.writes + t.writes, s.switches + t.switches, max(s.rss, t.rss)}
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
		ns, e := onCPU(filepath.Dir(t))
		err = errors.Join(err, e)
		s.cpu += ns
		for _, name := range []string{"voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"} {
			n, e := counter(t, name)
			err = errors.Join(err, e)
			s.switches += n
		}
	}
	return s, err
}

// onCPU is for how long a thread has run.
func onCPU(task string) (time.Duration, error) {
	text, err := os.ReadFile(task + "/schedstat")
	if err != nil {
		return 0, err
	}
	ns, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(ns, 10, 64)
	return time.Duration(n), err
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
