package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"

	"kong-go-jwt/spec/gateway/pluginserver"
	"kong-go-jwt/spec/gateway/wire"
)

// pdk answers the calls of an event from answers made beforehand, so that this
// side costs little.
type pdk struct {
	answers map[string][]byte // by method, and by method and variable
	worker  *worker
	wrong   error // a call that nobody expects
}

func text(s string) []byte { return wire.String(&s) }

// newPDK plays a request with the given token and as many headers as a browser
// sends. tag is the first part of the nginx variable; "": there is none.
func newPDK(token, tag string) *pdk {
	headers := map[string]any{
		"host": "api.example.com", "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"accept": "*/*", "accept-language": "en-US,en;q=0.5", "accept-encoding": "gzip, deflate, br, zstd",
		"referer": "https://app.example.com/", "origin": "https://app.example.com", "connection": "keep-alive",
		"sec-fetch-dest": "empty", "sec-fetch-mode": "cors", "sec-fetch-site": "same-site", "priority": "u=4",
		"authorization": "Bearer " + token,
	}
	p := &pdk{worker: new(worker), answers: map[string][]byte{
		"kong.request.get_headers":  wire.AppendStruct(nil, headers),
		"kong.request.get_query":    wire.AppendStruct(nil, map[string]any{"page": "1"}),
		"kong.request.get_method":   text("GET"),
		"kong.client.load_consumer": (&wire.Consumer{ID: consumer, Username: "alice", CustomID: "a-1"}).Append(nil),
		"kong.nginx.get_var args":   text("page=1"),
	}}
	p.answers["kong.request.get_header authorization"] = text("Bearer " + token)
	if tag != "" {
		more := ""
		for _, word := range strings.Fields(tag)[1:] {
			switch word {
			case "edge":
			case ":bare":
				more += "\nbare"
			case ":protocol":
				more += "\nHTTP/1.1 "
			default: // a header that has not come
				more += "\n"
			}
		}
		p.answers["kong.nginx.get_var go_jwt_request"] = text(tag + "\nGET\npage=1\n\nkeep-alive\n\nBearer " + token + more)
	}
	return p
}

// tagOf is the first part of the variable in the include that a binary makes by
// flags.
func tagOf(ctx context.Context, binary, flags string) (string, error) {
	if flags == "-" {
		return "", nil
	}
	out, err := exec.CommandContext(ctx, binary, append([]string{"-nginx-conf"}, strings.Fields(flags)...)...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) && flags == "" { // it makes none yet
		return "go-jwt/1", nil
	} else if err != nil {
		return "", fmt.Errorf("%s -nginx-conf %s: %w", binary, flags, err)
	}
	_, rest, _ := strings.Cut(string(out), `default "`)
	tag, _, ok := strings.Cut(rest, `\n`)
	if !ok {
		return "", fmt.Errorf("%s: no variable in its include", binary)
	}
	return tag, nil
}

// Call implements pluginserver.PDK.
func (p *pdk) Call(method string, args []byte) ([]byte, error) {
	p.worker.spend(cost(method, args))
	switch method {
	case "kong.nginx.get_var":
		name, err := wire.DecodeString(args)
		if err != nil {
			return nil, err
		}
		return p.answers[method+" "+name], nil
	case "kong.request.get_header":
		name, err := wire.DecodeString(args)
		if err != nil {
			return nil, err
		}
		return p.answers[method+" "+strings.ToLower(name)], nil
	case "kong.response.exit":
		exit, err := wire.DecodeExit(args)
		p.wrong = fmt.Errorf("answered %d %s", exit.Status, exit.Body) // where nobody is to be refused
		if err != nil || exit.Status != http.StatusUnauthorized {
			return nil, p.wrong
		}
		return nil, pluginserver.ErrExit
	}
	if a, ok := p.answers[method]; ok {
		return a, nil
	}
	switch method {
	case "kong.client.authenticate", "kong.service.request.set_headers", "kong.service.request.set_header",
		"kong.service.request.clear_header", "kong.ctx.shared.set", "kong.client.get_credential",
		"kong.log.notice", "kong.log.warn", "kong.log.err":
		return nil, nil
	}
	p.wrong = fmt.Errorf("unexpected call %s", method)
	return nil, p.wrong
}

var errRefused = errors.New("refused")
