package nginx_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// raw sends a request to the proxy with its headers as they are, and returns the
// body of the answer.
func (n *node) raw(t testing.TB, target string, headers ...string) string {
	t.Helper()
	c, err := new(net.Dialer).DialContext(context.Background(), "unix", n.path("proxy"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: api\r\n%s\r\n", target, lines(headers)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(text), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Fatalf("%s", text)
	}
	return body
}

func lines(headers []string) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	return b.String()
}

// oldNginx is the include's pattern of the versions in which the variable is empty.
var oldNginx = regexp.MustCompile(`"~\^1[^"]*" "";`)

// startNewNode is startNode, but that this nginx, Debian's 1.22, passes for a new one: the
// pattern in the include that it loads fits no version. What it shows of headers that
// are there once, or of cookies, is what a new one does.
func startNewNode(t testing.TB, flags ...string) *node {
	t.Helper()
	return startNodeWith(t, func(include string) string {
		if len(oldNginx.FindAllString(include, -1)) != 1 {
			t.Fatalf("the include does not have the pattern %s once", oldNginx)
		}
		return oldNginx.ReplaceAllString(include, `"~^none$$" "";`)
	}, flags...)
}

// version is nginx's own, as `nginx -v` has it.
func version(t testing.TB) (major, minor int) {
	t.Helper()
	out, err := exec.Command(setup.nginx, "-v").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(out), "nginx/")
	if _, err := fmt.Sscanf(text, "%d.%d.", &major, &minor); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return major, minor
}

// The include as it stands: where $http_NAME has the first alone of several headers,
// the variable is empty.
func TestVariableOfThisNginx(t *testing.T) {
	n := startNode(t)
	headers := []string{"X_Consumer_ID:", "X-Consumer_ID: evil"}
	want := ""
	if major, minor := version(t); major > 1 || minor >= 23 {
		want = "go-jwt/2 :bare :protocol\nGET\n\n\n\n, evil\n\nsent\nHTTP/1.0 "
	} else if got := startNewNode(t).raw(t, "/variable", headers...); got != "go-jwt/2 :bare :protocol\nGET\n\n\n\n\n\nsent\nHTTP/1.0 " {
		t.Errorf("it is old for nothing: with another pattern it shows %q", got)
	}
	if got := n.raw(t, "/variable", headers...); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The parts of the variable, in their order.
func TestVariable(t *testing.T) {
	plain, carrying := startNewNode(t), startNewNode(t, "-header", "X-Token", "-header", "x_user_name", "-edge")
	const edge = "go-jwt/2 edge x-token x-user-name :protocol"
	for name, tt := range map[string]struct {
		n       *node
		target  string
		headers []string
		want    []string // less the first part, and the last: the protocol and the type
	}{
		"nothing":              {plain, "/variable", nil, []string{"GET", "", "", "", "", ""}},
		"query":                {plain, "/variable?jwt=a.b.c&x=%0A%00", nil, []string{"GET", "jwt=a.b.c&x=%0A%00", "", "", "", ""}},
		"cookies":              {plain, "/variable", []string{"Cookie: a=1; jwt=x"}, []string{"GET", "", "a=1; jwt=x", "", "", ""}},
		"two cookie headers":   {plain, "/variable", []string{"Cookie: a=1", "Cookie: b=2"}, []string{"GET", "", "a=1; b=2", "", "", ""}},
		"connection":           {plain, "/variable", []string{"Connection: close, X-Consumer-ID"}, []string{"GET", "", "", "close, X-Consumer-ID", "", ""}},
		"authorization":        {plain, "/variable", []string{"authorization: Bearer a.b.c"}, []string{"GET", "", "", "", "", "Bearer a.b.c"}},
		"identity":             {plain, "/variable", []string{"X-Consumer-ID: evil"}, []string{"GET", "", "", "", "evil", ""}},
		"disguised identity":   {plain, "/variable", []string{"X_Consumer-Custom_ID: evil"}, []string{"GET", "", "", "", "evil", ""}},
		"several":              {plain, "/variable", []string{"X_Consumer_ID: 1", "X-Consumer-Username: 2", "X-Kong-JWT-Assertion: 3"}, []string{"GET", "", "", "", "123", ""}},
		"bytes":                {plain, "/variable", []string{"Authorization: Bearer \xff\xfe"}, []string{"GET", "", "", "", "", "Bearer \xff\xfe"}},
		"not carried":          {plain, "/variable", []string{"X-Token: t"}, []string{"GET", "", "", "", "", ""}},
		"changed by a plugin":  {plain, "/changed?a=1", []string{"Authorization: Bearer a"}, []string{"GET", "changed=1", "", "", "", "changed"}},
		"nothing is carried":   {carrying, "/variable", nil, []string{"GET", "", "", "", "", "", "", ""}},
		"carried":              {carrying, "/variable", []string{"X-Token: t", "X-User-Name: u"}, []string{"GET", "", "", "", "", "", "t", "u"}},
		"carried in disguise":  {carrying, "/variable", []string{"X_Token: t", "X_User-Name: u"}, []string{"GET", "", "", "", "", "", "", ""}},
		"both":                 {carrying, "/variable", []string{"X_Token: evil", "X-Token: t"}, []string{"GET", "", "", "", "", "", "t", ""}},
		"identity at the edge": {carrying, "/variable", []string{"X-Consumer-ID: evil", "X_Anonymous_Consumer: true"}, []string{"GET", "", "", "", "", "", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			want := "go-jwt/2 :bare :protocol\n" + strings.Join(tt.want, "\n") + "\nbare\nHTTP/1.0 "
			switch {
			case tt.n == carrying:
				want = edge + "\n" + strings.Join(tt.want, "\n") + "\nHTTP/1.0 "
			case tt.want[4] != "": // from clients, here
				want = strings.Replace(want, "\nbare\n", "\nsent\n", 1)
			}
			if got := tt.n.raw(t, tt.target, tt.headers...); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// The last part is what tells a gRPC call: the protocol, and the content type as sent.
func TestVariableTellsGRPC(t *testing.T) {
	got := startNewNode(t).raw(t, "/variable", "Content_Type: application/grpc", "content-type: Text/x, y")
	if !strings.HasSuffix(got, "\nHTTP/1.0 Text/x, y") {
		t.Errorf("%q", got)
	}
}

// spellings are all ways to write a name with underscores for dashes, or not.
func spellings(name string) []string {
	first, rest, more := strings.Cut(name, "-")
	if !more {
		return []string{name}
	}
	var all []string
	for _, s := range spellings(rest) {
		all = append(all, first+"-"+s, first+"_"+s)
	}
	return all
}

// At the edge what clients send as identity headers is gone, in every spelling,
// before any plugin runs, and what plugins set stays.
func TestEdge(t *testing.T) {
	identity := []string{
		"X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Credential-Identifier", "X-Anonymous-Consumer", "X-Kong-JWT-Assertion",
	}
	for name, tt := range map[string]struct {
		flags, headers []string // the latter to be carried
		cleared        bool
	}{
		"without":     {nil, nil, false},
		"edge":        {[]string{"-edge"}, nil, true},
		"and carried": {[]string{"-edge", "-header", "x-token-of-mine"}, []string{"X-Token-Of-Mine"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, tt.flags...)
			var all []string
			for _, name := range identity {
				all = append(all, spellings(name)...)
			}
			for _, name := range tt.headers {
				all = append(all, spellings(name)[1:]...)
			}
			for what, headers := range map[string][]string{
				"value": suffixed(all, ": evil"), "empty": suffixed(all, ":"), "spaces": suffixed(all, ":  "), "twice": append(suffixed(all, ": a"), suffixed(all, ": b")...),
				"in capitals": suffixed(all, ": evil", strings.ToUpper), "in lower case": suffixed(all, ":", strings.ToLower),
			} {
				var got map[string]any
				if err := json.Unmarshal([]byte(n.raw(t, "/headers", append(headers, "X-Other_Header: kept")...)), &got); err != nil {
					t.Fatal(err)
				}
				if got["x-other_header"] != "kept" || got["x-consumer-id"] != "set by a plugin" {
					t.Errorf("%s: %v", what, got)
				}
				for _, name := range all {
					_, there := got[strings.ToLower(name)]
					if name != "X-Consumer-ID" && there == tt.cleared {
						t.Errorf("%s: %s is there: %v", what, name, there)
					}
				}
			}
			for _, name := range tt.headers { // the true one may hold a token
				if got := n.raw(t, "/headers", name+": t"); !strings.Contains(got, `"`+strings.ToLower(name)+`":"t"`) {
					t.Errorf("%s is not there: %s", name, got)
				}
			}
		})
	}
}

// suffixed returns headers: names, changed by each of edits, with an end.
func suffixed(names []string, end string, edits ...func(string) string) []string {
	headers := make([]string, len(names))
	for i, name := range names {
		for _, edit := range edits {
			name = edit(name)
		}
		headers[i] = name + end
	}
	return headers
}
