package check

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/plugin"
)

// printer writes what is told, with colours if it may.
type printer struct {
	*bufio.Writer
	colours bool
}

// newPrinter returns one that uses colours on a terminal, unless NO_COLOR is set
// (https://no-color.org).
func newPrinter(w io.Writer) *printer {
	return &printer{bufio.NewWriter(w), os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)}
}

// isTerminal tells whether a stream is one, as far as can be seen.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// The colours of ECMA-48 that are used.
const (
	bold   = 1
	red    = 31
	green  = 32
	yellow = 33
)

func (p *printer) paint(colour int, text string) string {
	if !p.colours {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, text)
}

// line writes a line. Errors are told by Flush.
func (p *printer) line(format string, args ...any) { _, _ = fmt.Fprintf(p, format+"\n", args...) }

func (p *printer) heading(colour int, text string) {
	p.line("\n%s", p.paint(colour, text))
}

func (x *explainer) tell(w io.Writer) error {
	p := newPrinter(w)
	x.tellToken(p)
	x.tellSteps(p)
	x.tellDecision(p)
	x.tellAnswer(p)
	return p.Flush() //nolint:wrapcheck // of a stream
}

// tellToken says what is decided, and by what.
func (x *explainer) tellToken(p *printer) {
	if x.route != "" {
		p.line("%-11s%s", "Route", printable(x.route))
	}
	p.line("%-11s%s", "Plugin", place(x.plugin.Node))
	p.line("%-11s%s", "Time", date(float64(x.now.Unix())))
	var says []string
	for _, name := range []string{"alg", "kid", "typ"} {
		if v, there := x.trace.Header[name]; there {
			says = append(says, name+" "+quote(v))
		}
	}
	for _, name := range []string{"iss", "sub", "iat", "nbf", "exp"} {
		v, there := x.trace.Claims[name]
		switch {
		case !there:
		case name == "iss" || name == "sub":
			says = append(says, name+" "+quote(v))
		default:
			says = append(says, name+" "+x.when(v))
		}
	}
	p.block("Token", says)
	if is := x.trace.Issuer; is != nil {
		p.line("%-11s%s, of config.issuers", "Issuer", is.Issuer)
	}
	if x.given.url != nil {
		p.line("%-11s%s %s", "Request", printable(x.given.method), printable(x.given.url.Redacted()))
	}
	p.block("Proof", x.proofSays())
	p.line("")
}

// block writes lines with a title beside the first one.
func (p *printer) block(title string, lines []string) {
	for _, text := range lines {
		p.line("%-11s%s", title, text)
		title = ""
	}
}

// place is where a node is.
func place(n *declarative.Node) string {
	return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Path)
}

func (x *explainer) tellSteps(p *printer) {
	for _, s := range x.trace.Steps {
		mark := p.paint(green, "ok  ")
		switch {
		case x.isUnknown(s):
			mark = p.paint(yellow, "?   ")
		case !s.Passed:
			mark = p.paint(red, "FAIL")
		}
		p.line("  %s  %-19s%s", mark, strings.ReplaceAll(string(s.Check), "_", " "), x.saw(s))
	}
}

// tellDecision says what becomes of the request, and why.
func (x *explainer) tellDecision(p *printer) {
	unsure := x.unsure()
	switch out, token := &x.outcome, x.trace.Refusal; {
	case unsure != "":
		p.heading(yellow, "Cannot tell: "+printable(unsure))
		if token == nil {
			p.line("Otherwise the token is accepted.")
		}
	case out.Refusal != nil:
		p.heading(red, "Refused: "+string(out.Refusal.Reason))
		meaning(p, out.Refusal)
		if token != nil && token.Reason != out.Refusal.Reason {
			p.line("The token is refused (%s), so the request should go on as the anonymous consumer.", token.Reason)
		}
	case out.Shadowed != nil:
		p.heading(yellow, "Goes on, though the token is refused: "+string(out.Shadowed.Reason))
		meaning(p, out.Shadowed)
		p.line("shadow is on: nobody is refused.")
	case out.Kind == plugin.Anonymous:
		p.heading(yellow, "Goes on as the anonymous consumer, since the token is refused: "+string(token.Reason))
		meaning(p, token)
	default:
		p.heading(green, "Accepted")
	}
	if warning := x.outcome.Warning; warning != nil {
		p.line("%s", printable(warning.Error()))
	}
}

// meaning writes what a reason means, and what to do about it.
func meaning(p *printer, no *plugin.Refusal) {
	reasons := plugin.Reasons()
	if i := slices.IndexFunc(reasons, func(r plugin.ReasonMeaning) bool { return r.Reason == no.Reason }); i >= 0 {
		p.line("%s\n%s", reasons[i].Meaning, reasons[i].Remedy)
	}
}

// tellAnswer says what client and upstream get.
func (x *explainer) tellAnswer(p *printer) {
	switch no := x.outcome.Refusal; {
	case x.unsure() != "" && x.trace.Refusal != nil:
		return
	case no != nil:
		reply := no.Reply()
		p.heading(bold, "The client gets")
		p.line("  %d %s", reply.Status, http.StatusText(reply.Status))
		for _, h := range reply.Headers {
			p.line("  %s: %s", h.Name, printable(h.Value))
		}
		p.line("\n  %s", printable(string(reply.Body)))
		p.heading(bold, "The upstream gets nothing.")
		return
	}
	p.heading(bold, "The upstream gets")
	grant := x.grant()
	var removed []string
	for _, h := range grant.Headers {
		values := h.Values
		if len(values) == 0 && h.Value != "" {
			values = []string{h.Value}
		}
		if a := x.plugin.config.UpstreamAssertion; a != nil && h.Name == a.Header && len(values) > 0 {
			values = []string{"(an assertion, which is not shown)"}
		}
		for _, value := range values {
			p.line("  %s: %s", h.Name, printable(value))
		}
		if len(values) == 0 {
			removed = append(removed, h.Name)
		}
	}
	if len(removed) == len(grant.Headers) {
		p.line("  no headers of the plugin")
	}
	if x.unasserted {
		p.line("  an assertion, whose key is not known here")
	}
	if len(removed) > 0 {
		p.line("without %s", strings.Join(removed, ", "))
	}
	if x.outcome.Hidden != nil {
		p.line("without the token (hide_credentials)")
	}
	if len(grant.Groups) > 0 {
		p.line("Groups for Kong's ACL plugin: %s", quoteAll(grant.Groups))
	}
}

// grant is what the request is given.
func (x *explainer) grant() *plugin.Grant {
	n, err := strconv.Atoi(string(x.outcome.Answer.Bytes))
	if err != nil || n >= len(x.grants) { // nothing is given
		return &plugin.Grant{}
	}
	return x.grants[n]
}
