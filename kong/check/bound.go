package check

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// given is what is told of a request beside its token, which may be bound to it.
type given struct {
	certificate []byte   // of the client, as PEM; nil: not told
	scheme      string   // by which the token was sent; "": not told
	proof       string   // the header DPoP; "": not told
	method      string   // which a proof is for,
	url         *url.URL // and what the client called; nil: not told
}

func (g *given) flags(f *flag.FlagSet) {
	f.Func("client-cert", "`file` with the client's certificate (PEM), for a token that is bound to one", func(file string) (err error) {
		g.certificate, err = os.ReadFile(file)
		return err //nolint:wrapcheck // names the file
	})
	f.StringVar(&g.method, "method", "GET", "`method` of the request, for a DPoP proof")
	f.Func("url", "`URL` that the client called, for a DPoP proof", func(s string) (err error) {
		g.url, err = url.Parse(s)
		if err != nil || g.url.Host == "" || g.url.Scheme != "http" && g.url.Scheme != "https" {
			err = errors.New("is not an http or https URL")
		}
		return err
	})
}

// header takes a line of standard input if it is the header DPoP.
func (g *given) header(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "DPoP") {
		return false
	}
	if g.proof != "" { // as nginx joins them
		g.proof += ", "
	}
	g.proof += strings.TrimSpace(value)
	return true
}

// check says what nothing can be decided by.
func (g *given) check(c *schema.Config) error {
	switch {
	case g.proof != "" && g.url == nil:
		return errors.New("a DPoP proof is for one URL: give the URL that the client called with -url")
	case g.method == http.MethodOptions && !c.RunOnPreflight:
		return errors.New("-method: run_on_preflight is false, so an OPTIONS request needs no token")
	}
	return nil
}

// sentBy is the scheme by which the token is sent.
func (g *given) sentBy() string {
	if g.scheme == "" && g.proof != "" {
		return "DPoP"
	}
	if g.scheme == "" {
		return "Bearer"
	}
	return g.scheme
}

// to adds to r what was given.
func (g *given) to(r *plugin.Request) {
	r.Method, r.Certificate, r.DPoP = []byte(g.method), g.certificate, []byte(g.proof)
	u := g.url
	if u == nil {
		return
	}
	r.Scheme, r.HostHeader, r.Target = []byte(u.Scheme), []byte(u.Host), []byte(u.RequestURI())
	r.Host = []byte(strings.TrimSuffix(u.Host, ":"+u.Port()))
	if r.Port, _ = strconv.Atoi(u.Port()); r.Port == 0 {
		r.Port = 80
		if u.Scheme == "https" {
			r.Port = 443
		}
	}
}

// lacks tells what would have to be given to know about a refusal; "": nothing.
func (g *given) lacks(reason plugin.Reason) string {
	switch {
	case reason == plugin.ReasonNoCertificate && g.certificate == nil:
		return "the token is bound to a client certificate: give it with -client-cert"
	case reason == plugin.ReasonBearerOfBound && g.scheme == "",
		reason == plugin.ReasonInvalidProof && g.proof == "":
		return "the token is bound to a key: give the headers Authorization and DPoP of a request on standard input, and its -url and -method"
	case reason == plugin.ReasonNoNonce:
		return "the proof must contain a nonce, and only the node that gave it out knows it"
	}
	return ""
}

// sawCertificate and sawProof tell in words what the last checks saw.
func (x *explainer) sawCertificate(ok bool) string {
	switch {
	case ok:
		return "is the one that the token is bound to"
	case x.given.certificate == nil:
		return "comes with a request, and is not known here"
	}
	return x.message()
}

func (x *explainer) sawProof(ok bool) string {
	switch {
	case ok:
		return "is for this request; only the node knows whether it was used before"
	case x.given.proof == "" && x.given.lacks(x.trace.Refusal.Reason) != "":
		return "comes with a request, and is not known here"
	}
	return strings.TrimPrefix(x.message(), "Invalid DPoP proof; ")
}

// message is what the client is told of the token.
func (x *explainer) message() string {
	var told struct{ Message string }
	_ = json.Unmarshal(x.trace.Refusal.Body, &told)
	return told.Message
}

// proofSays tells what a proof is for. It says nothing of one that cannot be read.
func (x *explainer) proofSays() (says []string) {
	parts := strings.Split(x.given.proof, ".")
	if len(parts) != 3 {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&claims) != nil {
		return nil
	}
	for _, name := range []string{"htm", "htu"} {
		says = append(says, name+" "+quote(claims[name]))
	}
	return append(says, "iat "+x.when(claims["iat"]))
}
