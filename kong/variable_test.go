package kong_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"kong-go-jwt/kong"
	"kong-go-jwt/schema"
)

// What the nginx variable tells of a request, and when it is not enough.
func TestVariable(t *testing.T) {
	const (
		none    = `{}`
		token   = `{"header_names":["X-Token"]}`
		both    = `{"header_names":["X-Token","authorization"]}`
		user    = `{"claims_to_headers":[{"header":"X-User","claim":["sub"]}]}`
		lax     = `{"guard_headers":false}`
		hides   = `{"hide_credentials":true}`
		request = "\nGET\na=b\nc=d\nclose\n" // before what tells of identity headers
	)
	const nothing = ""
	sixteen := strings.Repeat(" x-a", 15) + " x-token"
	for name, tt := range map[string]struct{ config, value, want string }{
		"usual":                            {none, "go-jwt/2" + request + "\nBearer x", "[Bearer x]"},
		"two values":                       {none, "go-jwt/2" + request + "\nBearer x,Bearer y", "[Bearer x,Bearer y]"},
		"an identity header":               {none, "go-jwt/2" + request + "z\nBearer x", "[Bearer x] others"},
		"an identity header, not guarded":  {lax, "go-jwt/2" + request + "z\nBearer x", "[Bearer x]"},
		"edge":                             {none, "go-jwt/2 edge" + request + "\nBearer x", "[Bearer x] no identity no others"},
		"edge, an identity header":         {none, "go-jwt/2 edge" + request + "z\nBearer x", "[Bearer x] no others"},
		"another version":                  {none, "go-jwt/1" + request + "\nBearer x", nothing},
		"a part less":                      {none, "go-jwt/2" + request + "Bearer x", nothing},
		"a part more":                      {none, "go-jwt/2" + request + "\nBearer x\ny", nothing},
		"empty":                            {none, "", nothing},
		"another header":                   {token, "go-jwt/2 x-token" + request + "\nBearer x\nTOKEN", "[TOKEN]"},
		"another header, twice":            {token, "go-jwt/2 x-token" + request + "\nBearer x\nTOKEN, OTHER", nothing},
		"another header, a comma first":    {token, "go-jwt/2 x-token" + request + "\nBearer x\n,OTHER", nothing},
		"another header, not carried":      {token, "go-jwt/2 x-other" + request + "\nBearer x\nTOKEN", nothing},
		"two headers":                      {both, "go-jwt/2 x-other x-token" + request + "\nBearer x,y\n,\nTOKEN", "[TOKEN Bearer x,y]"},
		"as many headers as may be":        {token, "go-jwt/2" + sixteen + request + "\n" + strings.Repeat("\n", 16) + "TOKEN", "[TOKEN]"},
		"one header too many":              {token, "go-jwt/2 x-b" + sixteen + request + "\n" + strings.Repeat("\n", 17) + "TOKEN", nothing},
		"bare":                             {none, "go-jwt/2 :bare" + request + "\nBearer x\nbare", "[Bearer x] no identity"},
		"bare, not known":                  {none, "go-jwt/2 :bare" + request + "\nBearer x\n", "[Bearer x]"},
		"bare, sent without a value":       {none, "go-jwt/2 :bare" + request + "\nBearer x\nsent", "[Bearer x] others"},
		"bare, sent, not guarded":          {lax, "go-jwt/2 :bare" + request + "\nBearer x\nsent", "[Bearer x]"},
		"bare, not there":                  {none, "go-jwt/2 :bare" + request + "\nBearer x", nothing},
		"bare, but an identity header":     {none, "go-jwt/2 :bare" + request + "z\nBearer x\nbare", "[Bearer x] others"},
		"not known, an identity header":    {none, "go-jwt/2 :bare" + request + "bare\nBearer x\n", "[Bearer x] others"},
		"bare and protocol":                {none, "go-jwt/2 :bare :protocol" + request + "\nBearer x\nbare\nHTTP/1.1 bare", "[Bearer x] no identity"},
		"bare, and a claimed header":       {user, "go-jwt/2 :bare" + request + "\nBearer x\nbare", "[Bearer x] no identity"},
		"bare, a carried header":           {token, "go-jwt/2 x-token :bare" + request + "\nBearer x\nbare\n", "[bare]"},
		"protocol":                         {none, "go-jwt/2 :protocol" + request + "\nBearer x\nHTTP/1.1 a,b", "[Bearer x]"},
		"protocol, not there":              {none, "go-jwt/2 :protocol" + request + "\nBearer x", nothing},
		"protocol, and all else":           {token, "go-jwt/2 edge" + sixteen + " :protocol" + request + "\n" + strings.Repeat("\n", 16) + "TOKEN\nHTTP/1.1 ", "[TOKEN] no identity no others"},
		"claimed header, carried":          {user, "go-jwt/2 edge x-user" + request + "\nBearer x\n", "[Bearer x] no identity no others"},
		"claimed header, carried and sent": {user, "go-jwt/2 edge x-user" + request + "\nBearer x\nbob", "[Bearer x] no identity"},
		"claimed header, not carried":      {user, "go-jwt/2 edge" + request + "\nBearer x", "[Bearer x] no identity"},
		"hidden":                           {hides, "go-jwt/2" + request + "\nBearer x", "[Bearer x] sent authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := schema.Parse([]byte(tt.config))
			if err != nil {
				t.Fatal(err)
			}
			r, others, absent, good := kong.FromVariable(c, tt.value)
			got := fmt.Sprintf("%s", r.Headers)
			for _, s := range r.Sent {
				got += " sent " + s.Name
			}
			if others {
				got += " others"
			}
			got += absent
			if !good {
				got = nothing
			} else if said := fmt.Sprintf("%s %s %s %s", r.Method, r.Query, r.Cookie, r.Connection); said != "GET a=b c=d close" {
				t.Errorf("got %s", said)
			}
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// The variable is used as the last value tells, and one that cannot be is told of once.
func TestVariableChanges(t *testing.T) {
	c, err := schema.Parse([]byte(`{"header_names":["X-Token"]}`))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	v := kong.NewVariable(c, slog.New(slog.NewTextHandler(&log, nil)))
	if !v.IsTried() {
		t.Error("the variable is not tried")
	}
	for i, step := range []struct {
		value                 string
		readable, edge, tried bool
		told                  int // so far
	}{
		{"go-jwt/2 x-token\nGET", true, false, true, 0},
		{"go-jwt/2 x-token\nPOST", true, false, true, 0},
		{"go-jwt/2 edge x-token\nGET", true, true, true, 0},
		{"go-jwt/2\nGET", true, false, false, 0}, // which does not carry the header
		{"go-jwt/1\nGET", false, false, false, 1},
		{"go-jwt/1\nPOST", false, false, false, 1},
		{"go-jwt/3\nGET", false, false, false, 1},
		{"go-jwt/2 edge x-token\nGET", true, true, true, 1},
		{"", false, false, false, 1}, // there is no include
		{"go-jwt/2 x-token\nGET", true, false, true, 1},
		{"go-jwt/1\nGET", false, false, false, 2},
	} {
		readable, edge := v.See(step.value)
		if tried := v.IsTried(); readable != step.readable || edge != step.edge || tried != step.tried {
			t.Errorf("step %d, %q: readable %t, edge %t, tried %t", i, step.value, readable, edge, tried)
		}
		if told := strings.Count(log.String(), "another version of go-jwt"); told != step.told {
			t.Errorf("step %d, %q: told %d times, want %d", i, step.value, told, step.told)
		}
	}
}

// A worker that has no include, such as one from before a reload, keeps no other one from
// using its own.
func TestVariableOfAnotherWorker(t *testing.T) {
	c, err := schema.Parse([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	old := kong.NewVariable(c, slog.New(slog.DiscardHandler))
	now := old.Another()
	for _, value := range []string{"", "go-jwt/1\nGET"} {
		if readable, _ := old.See(value); readable || old.IsTried() {
			t.Errorf("%q: the old worker's is used", value)
		}
		if !now.IsTried() {
			t.Errorf("%q: the new worker's is not tried", value)
		}
		if readable, _ := now.See("go-jwt/2\nGET"); !readable || !now.IsTried() || old.IsTried() {
			t.Errorf("%q: the new worker's is not used, or the old worker's is", value)
		}
	}
}
