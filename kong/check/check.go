// Package check looks at Kong's declarative files before Kong does: "go-jwt check"
// finds mistakes in them, and "go-jwt explain" says what would become of a token.
// Both ask the plugin's own table of options and its own engine.
package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/plugin/jwks"
)

// Streams are what a command reads from and writes to.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // Kong or the plugin refuses it, or nobody can get in
	Warning Severity = "warning" // it works, and is hardly what was meant
)

// Finding is something that is wrong in a file. It holds no secret.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Path     string   `json:"path"` // counting from 0; "": the whole file
	Severity Severity `json:"severity"`
	Problem  string   `json:"problem"`
}

func (f *Finding) String() string {
	text := f.Problem
	if f.Severity == Warning {
		text = "warning: " + text
	}
	if f.Path != "" {
		text = f.Path + ": " + text
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, text)
}

const aboutCheck = `Usage: go-jwt check [flags] FILE...

Finds mistakes in declarative files: kong.yml, decK's, or the output of
"kong config db_export". FILE - is standard input. It looks at every go-jwt plugin and
every entry of jwt_secrets, and prints what Kong or the plugin would refuse, and what
works but is probably a mistake. Several files are read as one configuration. The exit
code is 1 if there are errors.`

// Check is the command "go-jwt check". The error tells that something was found,
// or why nothing could be looked at.
func Check(ctx context.Context, std Streams, args []string) error {
	f := newFlags("check", aboutCheck, std.Err)
	asJSON := f.Bool("json", false, "print the findings as a JSON list")
	strict := f.Bool("strict", false, "exit with 1 on warnings too, not only on errors")
	online := f.Bool("online", false, "fetch the issuers' keys too, and check that there is one for each algorithm")
	var keys jwks.Options
	keys.Flags(f)
	if err := f.Parse(args); err != nil {
		return flagError(err)
	}
	if f.NArg() == 0 {
		return errors.New("check: no file is given: see go-jwt check -help")
	}
	c := newChecker(keys, *online)
	defer c.close()
	state, err := c.read(f.Args(), std.In)
	if err != nil {
		return err
	}
	c.check(ctx, state)
	if err := report(std.Out, c.sorted(f.Args()), *asJSON); err != nil {
		return err
	}
	errs, warnings := c.count()
	switch {
	case errs > 0 || *strict && warnings > 0:
		return fmt.Errorf("check: %s and %s", number(errs, "error"), number(warnings, "warning"))
	case warnings > 0:
		_, err = fmt.Fprintf(std.Err, "go-jwt: check: %s\n", number(warnings, "warning"))
	default:
		_, err = fmt.Fprintf(std.Err, "go-jwt: check: nothing found in %s and %s\n",
			number(c.plugins, "go-jwt plugin"), number(len(state.JWTSecrets), "entry of jwt_secrets"))
	}
	return err //nolint:wrapcheck // of a stream
}

func number(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	if of == "entry of jwt_secrets" {
		return fmt.Sprintf("%d entries of jwt_secrets", n)
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// read reads the files. What is no YAML is a finding.
func (c *checker) read(names []string, stdin io.Reader) (*declarative.State, error) {
	var documents []*declarative.Node
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		root, err := declarative.ReadFile(name, stdin)
		var fault *declarative.SyntaxError
		switch {
		case errors.As(err, &fault):
			c.found = append(c.found, Finding{fault.File, fault.Line, fault.Column, "", Error, fault.Problem})
		case err != nil:
			return nil, err //nolint:wrapcheck // names the file
		default:
			documents = append(documents, root)
		}
	}
	return declarative.NewState(documents...), nil
}

// sorted returns the findings by file, in the order given, and line.
func (c *checker) sorted(files []string) []Finding {
	slices.SortStableFunc(c.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)), a.Line-b.Line, a.Column-b.Column)
	})
	return slices.Compact(c.found)
}

func (c *checker) count() (errs, warnings int) {
	for _, f := range c.found {
		if f.Severity == Error {
			errs++
		} else {
			warnings++
		}
	}
	return errs, warnings
}

func report(w io.Writer, found []Finding, asJSON bool) error {
	if asJSON {
		if found == nil {
			found = []Finding{}
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(found) //nolint:wrapcheck // of a stream
	}
	for i := range found {
		if _, err := fmt.Fprintln(w, found[i].String()); err != nil {
			return err //nolint:wrapcheck // of a stream
		}
	}
	return nil
}

func newFlags(name, about string, w io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(w)
	f.Usage = func() {
		_, _ = fmt.Fprintf(w, "%s\n\nFlags:\n", about)
		f.PrintDefaults()
	}
	return f
}

func flagError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return fmt.Errorf("flags: %w", err)
}
