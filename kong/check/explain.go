package check

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwks"
	"kong-go-jwt/plugin/revocation"
	"kong-go-jwt/schema"
)

const aboutExplain = `Usage: go-jwt explain -config FILE [-route NAME] [-at TIME] [flags] <TOKENFILE

Shows what the plugin does with the token on standard input, and why: each check and
what it saw, the decision, the answer that the client gets, and the headers that the
upstream gets. The decision is made by the code that runs in Kong. FILE is a
declarative file, such as kong.yml or decK's. Neither the token nor a secret is printed.

Standard input may also have the headers of a request: "Authorization: Bearer …" or
"Authorization: DPoP …", and on another line the DPoP proof, "DPoP: …".

The exit code is 0 if the token is accepted, 1 if it is refused (with anonymous or
shadow, the request may still go on), and 2 if this command cannot tell.`

// What "go-jwt explain" exits with.
const (
	isAccepted = 0
	isRefused  = 1
	cannotTell = 2
)

// explainer is what "go-jwt explain" was asked.
type explainer struct {
	files  []string
	route  string
	now    time.Time
	online bool
	keys   jwks.Options
	token  string
	given  given

	plugin  *pluginCheck
	source  source
	trace   plugin.Trace
	grants  []*plugin.Grant // that were made, see Options.Encode
	outcome plugin.Outcome
	where   string // the token was sent
	// unasserted tells that there is an upstream assertion whose keys are not known.
	unasserted bool
}

// Explain is the command "go-jwt explain". It returns the exit code.
func Explain(ctx context.Context, std Streams, args []string) int {
	x := &explainer{now: time.Now()}
	f := newFlags("explain", aboutExplain, std.Err)
	f.Func("config", "declarative `file`; repeat it if the configuration has several files", func(s string) error {
		x.files = append(x.files, s)
		return nil
	})
	f.StringVar(&x.route, "route", "", "`name` or id of the route; needed only if the configuration has several go-jwt plugins")
	f.Func("at", "decide as if it were this `time`: 2026-01-31T12:00:00Z, seconds since 1970, or relative to now, such as -5m or +2h", func(s string) (err error) {
		x.now, err = parseTime(s, x.now)
		return err
	})
	f.BoolVar(&x.online, "online", false, "fetch the issuers' keys and the lists of revoked tokens")
	x.given.flags(f)
	x.keys.Flags(f)
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return isAccepted
	case err != nil: // which was told
		return cannotTell
	}
	err := x.read(std, f.Args())
	if err == nil {
		err = x.decide(ctx)
	}
	if err == nil {
		err = x.tell(std.Out)
	}
	if err != nil {
		_, _ = fmt.Fprintln(std.Err, "go-jwt: explain:", err)
		return cannotTell
	}
	return x.code()
}

// parseTime reads what -at tells.
func parseTime(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
		if d, err := time.ParseDuration(s); err == nil {
			return now.Add(d), nil
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 && n <= lastSecond {
		return time.Unix(n, 0), nil
	}
	return time.Time{}, errors.New("must be a time such as 2026-01-31T12:00:00Z, seconds since 1970, or -5m")
}

// read reads the files and the token, and finds the plugin.
func (x *explainer) read(std Streams, more []string) error {
	switch {
	case len(x.files) == 0:
		return errors.New("no -config is given: see go-jwt explain -help")
	case len(more) > 0: // not shown: it may be the token
		return errors.New("unexpected argument; the token is read from standard input")
	case slices.Contains(x.files, "-"):
		return errors.New("-config: cannot be standard input, from which the token is read")
	}
	c := newChecker(x.keys, false)
	defer c.close()
	state, err := c.read(x.files, nil)
	if err == nil {
		err = c.mistakes()
	}
	if err != nil {
		return err
	}
	c.state, x.source = state, source{state}
	plug, err := find(state, x.route)
	if err != nil {
		return err
	}
	x.plugin = &pluginCheck{checker: c, Plugin: plug, draft: newDraft(plug.Settings())}
	if err := x.configure(); err != nil {
		return err
	}
	if isTerminal(std.In) {
		_, _ = fmt.Fprintln(std.Err, "Paste the token, and press Enter and Ctrl-D:")
	}
	return x.readToken(std.In)
}

// mistakes is an error with what was found.
func (c *checker) mistakes() error {
	if len(c.found) == 0 {
		return nil
	}
	lines := []string{"the configuration cannot be used:"}
	for i := range c.found {
		lines = append(lines, c.found[i].String())
	}
	return errors.New(strings.Join(lines, "\n"))
}

// find returns the go-jwt plugin that runs on a route or, with no route named, the
// only one.
func find(s *declarative.State, route string) (*declarative.Plugin, error) {
	routes := "; the routes are: " + strings.Join(s.Names(), ", ")
	if route != "" {
		r := s.FindRoute(route)
		if r == nil {
			return nil, fmt.Errorf("there is no route %q%s", route, routes)
		}
		if p := s.Effective(schema.Name, r); p != nil {
			return p, nil
		}
		return nil, fmt.Errorf("no go-jwt plugin runs on route %q: every request passes", route)
	}
	var all []*declarative.Plugin
	for _, p := range s.Plugins {
		if p.Title == schema.Name && p.Enabled() && p.Caller == nil {
			all = append(all, p)
		}
	}
	switch len(all) {
	case 0:
		return nil, errors.New("the configuration has no enabled go-jwt plugin")
	case 1:
		return all[0], nil
	}
	return nil, errors.New("there are several go-jwt plugins: choose a route with -route" + routes)
}

// configure reads the plugin's configuration. What is filled in later is not known
// here, so that nothing can be decided by it.
func (x *explainer) configure() error {
	p := x.plugin
	p.options()
	if err := p.mistakes(); err != nil {
		return err
	}
	for _, n := range append(filledIn(p.Shared), filledIn(p.Config)...) {
		option := strings.TrimPrefix(n.Path, join(p.Path, "config")+".")
		switch {
		case strings.HasPrefix(option, "upstream_assertion."):
			x.unasserted = true
		case secretOf.MatchString(option):
		default:
			return fmt.Errorf("%s:%d:%d: %s: filled in later, so its value is not known here", n.File, n.Line, n.Column, n.Path)
		}
	}
	for _, option := range p.draft.options() {
		if !x.unasserted || option != "upstream_assertion" {
			return fmt.Errorf("config.%s: cannot be used", option)
		}
	}
	if x.unasserted {
		p.config.UpstreamAssertion, p.config.PublishKeys = nil, false
	}
	return nil
}

var secretOf = regexp.MustCompile(`^credentials\[\d+\]\.secret$`)

// filledIn returns what is not known before Kong or decK has filled it in.
func filledIn(n *declarative.Node) []*declarative.Node {
	if n.IsReference() || n.IsVariable() {
		return []*declarative.Node{n}
	}
	var all []*declarative.Node
	for _, inner := range append(slices.Clone(n.Fields()), n.Items()...) {
		all = append(all, filledIn(inner)...)
	}
	return all
}

// terminalLine is the most that a terminal hands on of a line, with its end
// (termios(3), canonical mode).
const terminalLine = 4096

// readToken reads the token, as it is or as a header has it.
func (x *explainer) readToken(from io.Reader) error {
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(from, most))
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		if len(line) >= terminalLine && isTerminal(from) {
			return errors.New("a terminal cuts lines of this length: give the token by a file")
		}
		if !x.given.header(line) {
			words = append(words, strings.Fields(line)...)
		}
	}
	if len(words) > 0 && strings.EqualFold(words[0], "Authorization:") {
		words = words[1:]
	}
	for _, scheme := range []string{"Bearer", "DPoP"} {
		if x.given.scheme == "" && len(words) > 0 && strings.EqualFold(words[0], scheme) {
			x.given.scheme, words = scheme, words[1:]
		}
	}
	if x.token = strings.Join(words, " "); x.token == "" {
		return errors.New("there is no token on standard input")
	}
	return x.given.check(x.plugin.config)
}

// decide has the plugin's engine decide, as it does for Kong.
func (x *explainer) decide(ctx context.Context) error {
	o := plugin.Options{
		Source: x.source,
		Now:    func() time.Time { return x.now },
		Encode: func(g *plugin.Grant) plugin.Answer {
			x.grants = append(x.grants, g)
			return plugin.Answer{Bytes: strconv.AppendInt(nil, int64(len(x.grants)-1), 10)}
		},
	}
	x.keys.OnDemand = true
	keys := jwks.New(x.keys)
	defer keys.Close()
	lists := revocation.New(revocation.Options{Fetching: x.keys.Fetching(), Idle: !x.online})
	defer lists.Close()
	if o.Keys, o.Revocations = keys, lists; !x.online {
		o.Keys, o.Revocations = offlineKeys{keys}, offlineLists{lists}
	}
	store := newStore(o)
	defer store.Close()
	engine, err := store.NewEngine(x.plugin.config)
	if err != nil {
		faults, others := schema.FieldErrors(err)
		for _, f := range faults {
			x.plugin.at(f, Error)
		}
		return errors.Join(append(others, x.plugin.mistakes())...)
	}
	defer engine.Close()
	x.outcome = engine.Decide(ctx, x.request(), x.source)
	return nil
}

// request is one with the token where the plugin looks for it.
func (x *explainer) request() *plugin.Request {
	c := x.plugin.config
	r := &plugin.Request{
		UpstreamPath: []byte("/"), Headers: make([][]byte, len(c.HeaderNames)), Trace: &x.trace,
	}
	x.given.to(r)
	switch {
	case len(c.HeaderNames) > 0:
		at := max(0, slices.IndexFunc(c.HeaderNames, func(name string) bool { return strings.EqualFold(name, "authorization") }))
		r.Headers[at] = []byte(x.given.sentBy() + " " + x.token)
		x.where = "in the header " + http.CanonicalHeaderKey(c.HeaderNames[at]) + ", after " + x.given.sentBy()
	case len(c.URIParamNames) > 0:
		r.Query = []byte(url.QueryEscape(c.URIParamNames[0]) + "=" + url.QueryEscape(x.token))
		x.where = "in the query parameter " + c.URIParamNames[0]
	case len(c.CookieNames) > 0:
		r.Cookie = []byte(c.CookieNames[0] + "=" + x.token)
		x.where = "in the cookie " + c.CookieNames[0]
	}
	return r
}

// unsure tells why the decision would be another one, perhaps, if all were known
// that Kong knows; "": it would not.
func (x *explainer) unsure() string {
	for _, no := range []*plugin.Refusal{x.trace.Refusal, x.outcome.Refusal} {
		if no == nil {
			continue
		}
		switch no.Reason {
		case plugin.ReasonLookupFailed:
			if !x.online && x.trace.Issuer != nil {
				return "the issuer's keys are fetched only with -online"
			}
			return fmt.Sprint(x.outcome.Fault)
		case plugin.ReasonRevocationUnknown, plugin.ReasonFailure:
			return fmt.Sprint(x.outcome.Fault)
		case plugin.ReasonUnknownCredential, plugin.ReasonMissingConsumer, plugin.ReasonUnknownConsumer, plugin.ReasonUnknownAnonymous:
			if x.source.state.Partial {
				return "what has other tags (select_tags) is not in the file"
			}
		case plugin.ReasonInvalidSignature, plugin.ReasonInvalidKey:
			if n := x.filledInKey(); n != nil {
				return fmt.Sprintf("%s (%s:%d) is filled in later, so its value is not known here", n.Path, n.File, n.Line)
			}
		default:
			if lacks := x.given.lacks(no.Reason); lacks != "" {
				return lacks
			}
		}
	}
	if !x.online && x.trace.Refusal == nil && len(x.plugin.config.Revocations) > 0 {
		return "the lists of revocations are fetched only with -online"
	}
	return ""
}

// filledInKey returns the key of a credential that was tried, if it is not known
// before Kong or decK has filled it in; nil: it is.
func (x *explainer) filledInKey() *declarative.Node {
	for _, s := range x.trace.Steps {
		if s.Check != plugin.CheckKey {
			continue
		}
		for _, n := range filledIn(x.credential(s.Number)) {
			return n
		}
	}
	return nil
}

// credential returns the credential with a step's number, as it is written.
func (x *explainer) credential(number int) *declarative.Node {
	if number > 0 {
		return x.plugin.list("credentials").Items()[number-1]
	}
	key, _ := x.trace.Key.(string)
	if j := x.source.secret(key); j != nil {
		return j.Node
	}
	return nil
}

func (x *explainer) code() int {
	switch {
	case x.unsure() != "":
		return cannotTell
	case x.trace.Refusal != nil || x.outcome.Refusal != nil:
		return isRefused
	}
	return isAccepted
}
