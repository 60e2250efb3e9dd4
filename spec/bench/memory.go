package main

import (
	"context"
	"fmt"
	"io"

	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
)

// measureMemory shows the plugin ever more distinct tokens, and prints what its
// process weighs.
func measureMemory(ctx context.Context, w *world, o options, out io.Writer) error {
	const most = 1_000_000
	p, err := start(ctx, o.plugin, []string{"-admin-url", w.admin.URL, "-cache-entries", fmt.Sprint(2 * most), "-cache-bytes", fmt.Sprint(4 << 30)})
	if err != nil {
		return err
	}
	defer p.stop()
	client := pluginserver.NewClient(p.socket, new(pluginserver.Stats), func(string) {}, nginx.NewErrorLog(io.Discard, nginx.Alert))
	defer client.Close()
	tag, err := tagOf(ctx, o.plugin, "")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "| distinct tokens seen | resident MiB |\n| ---: | ---: |")
	for n := 1; n <= most; n++ {
		token, err := w.token("HS256", n)
		if err != nil {
			return err
		}
		err = client.Event(ctx, pluginserver.Plugin{ID: "p", Name: "go-jwt", Seq: 1, Config: []byte(`{"cache_ttl":3600}`)}, "access", newPDK(token, tag))
		if err != nil {
			return err
		}
		switch n {
		case 1, most / 10, most:
			s, err := p.sample()
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "| %d | %d |\n", n, s.rss>>20)
		}
	}
	return nil
}
