package main

import (
	"context"
	"fmt"
	"io"

	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
)

// measureMemory shows the plugin, and the base, ever more distinct tokens, and
// prints what their processes weigh.
func measureMemory(ctx context.Context, w *world, o options, out io.Writer) error {
	const most = 1_000_000
	counts := []int{1, most / 10, most}
	arguments := []string{"-admin-url", w.admin.URL, "-cache-entries", fmt.Sprint(2 * most)}
	now, err := weigh(ctx, w, o.plugin, append(arguments, "-cache-bytes", fmt.Sprint(4<<30)), counts)
	if err != nil {
		return err
	}
	var base []int64
	if o.base != "" {
		if base, err = weigh(ctx, w, o.base, arguments, counts); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "| distinct tokens seen | resident MiB | base | of base's |\n| ---: | ---: | ---: | ---: |")
	for i, n := range counts {
		fmt.Fprintf(out, "| %d | %d |", n, now[i]>>20)
		if base != nil {
			fmt.Fprintf(out, " %d | %.2f |\n", base[i]>>20, float64(now[i])/float64(base[i]))
		} else {
			fmt.Fprintln(out, " | |")
		}
	}
	return nil
}

// weigh returns how many bytes of a binary are resident after so many tokens.
func weigh(ctx context.Context, w *world, binary string, arguments []string, counts []int) (resident []int64, err error) {
	p, err := start(ctx, binary, arguments)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	client := pluginserver.NewClient(p.socket, new(pluginserver.Stats), func(string) {}, nginx.NewErrorLog(io.Discard, nginx.Alert))
	defer client.Close()
	tag, err := tagOf(ctx, binary, "")
	if err != nil {
		return nil, err
	}
	shown := 0
	for _, count := range counts {
		for ; shown < count; shown++ {
			token, err := w.token("HS256", shown)
			if err != nil {
				return nil, err
			}
			err = client.Event(ctx, pluginserver.Plugin{ID: "p", Name: "go-jwt", Seq: 1, Config: []byte(`{"cache_ttl":3600}`)}, "access", newPDK(token, tag))
			if err != nil {
				return nil, err
			}
		}
		s, err := p.sample()
		if err != nil {
			return nil, err
		}
		resident = append(resident, s.rss)
	}
	return resident, nil
}
