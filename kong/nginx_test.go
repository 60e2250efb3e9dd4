package kong_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/kong"
)

func nginxConf(t *testing.T, o kong.NginxOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := kong.WriteNginxConf(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The include that is shipped is the one for Kong's own prefix: go generate ./kong.
func TestShippedNginxConf(t *testing.T) {
	shipped, err := os.ReadFile("go-jwt.nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	if string(shipped) != nginxConf(t, kong.NginxOptions{Prefix: "/usr/local/kong"}) {
		t.Error("go-jwt.nginx.conf is not what -nginx-conf prints: go generate ./kong")
	}
}

func TestNginxConf(t *testing.T) {
	text := nginxConf(t, kong.NginxOptions{Prefix: "/p", Edge: true, Headers: []string{"X_Token", "X-User-Name"}})
	_, clearing, _ := strings.Cut(text, "more_clear_input_headers")
	clearing, _, _ = strings.Cut(clearing, ";")
	cleared := strings.Fields(clearing)
	for _, name := range []string{
		"X-Consumer-ID", "X_Consumer_ID", "X-Consumer_Custom-ID", "X_Anonymous_Consumer", "X-Credential_Identifier", "X-Kong_Jwt-Assertion",
		"x_token", "x_user_name", "x-user_name", "x_user-name",
	} {
		if !slices.Contains(cleared, name) {
			t.Errorf("%s is not cleared", name)
		}
	}
	for _, name := range []string{"x-token", "x-user-name"} { // which may hold a token
		if slices.Contains(cleared, name) {
			t.Errorf("%s is cleared", name)
		}
	}
	if n := 4 + 8 + 4 + 4 + 4 + 8 + 1 + 3; len(cleared) != n {
		t.Errorf("%d spellings, want %d", len(cleared), n)
	}
	for _, want := range []string{
		`default "go-jwt/2 edge x-token x-user-name :protocol\n`, `\n$http_authorization\n$http_x_token\n$http_x_user_name\n$server_protocol $content_type";`,
		`listen "unix:/p/sockets/go-jwt";`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if text := nginxConf(t, kong.NginxOptions{Prefix: "/p"}); strings.Contains(text, "more_clear_input_headers") {
		t.Error("headers are cleared without -edge")
	}
}

// In which versions of nginx the variable is empty.
func TestNginxConfKnowsOldVersions(t *testing.T) {
	text := nginxConf(t, kong.NginxOptions{Prefix: "/p"})
	_, body, _ := strings.Cut(text, "map $nginx_version $go_jwt_request {")
	_, expression, _ := strings.Cut(body, `"~`)
	expression, value, _ := strings.Cut(expression, `" `)
	old := regexp.MustCompile(expression)
	if !strings.HasPrefix(value, `"";`) || old.NumSubexp() > 0 { // a group would cost each request a capture
		t.Errorf("%s %.10s", expression, value)
	}
	for version, want := range map[string]bool{
		"1.11.7": true, "1.9.15": true, "1.19.9": true, "1.20.0": true, "1.21.4": true, "1.22.1": true,
		"1.23.0": false, "1.25.3": false, "1.27.1": false, "1.29.3": false, "1.30.0": false, "1.100.0": false, "2.1.0": false, "11.1.0": false, "": false,
	} {
		if old.MatchString(version) != want {
			t.Errorf("%q is old: %v", version, !want)
		}
	}
}

// What the include knows of identity headers by the head of a request.
func TestNginxConfKnowsWhoSendsIdentity(t *testing.T) {
	text := nginxConf(t, kong.NginxOptions{Prefix: "/p"})
	_, body, _ := strings.Cut(text, "map $echo_client_request_headers $go_jwt_bare {")
	_, expression, _ := strings.Cut(body, `"~*`)
	expression, value, _ := strings.Cut(expression, `" `)
	sent := regexp.MustCompile("(?i)" + strings.ReplaceAll(expression, `\n`, "\n"))
	if !strings.HasPrefix(value, "sent;\n    default bare;") || !strings.Contains(body, `"" "";`) {
		t.Errorf("%s %.30s", expression, value)
	}
	for header, want := range map[string]bool{
		"X-Consumer-ID": true, "x_consumer_id": true, "X-CONSUMER_Custom-id": true, "X_Consumer-Username": true,
		"X-Credential_Identifier": true, "x-anonymous_consumer": true, "X-Kong_JWT-Assertion": true,
		"X-Consumer": false, "X-ConsumerID": false, "A-X-Consumer-ID": false, "X.Consumer.ID": false, "Host": false,
	} {
		if got := sent.MatchString("GET /?X-Consumer-ID: HTTP/1.1\r\nA: X-Consumer-ID:\r\n" + header + ":\r\n\r\n"); got != want {
			t.Errorf("%s is an identity header: %v", header, got)
		}
	}
	if text := nginxConf(t, kong.NginxOptions{Prefix: "/p", Edge: true}); strings.Contains(text, "bare") {
		t.Error("-edge needs no such map")
	}
}

// The longest that are taken; one more of each is refused.
func TestLongestOfNginxConf(t *testing.T) {
	const socket = "/sockets/go-jwt"
	for more, want := range map[int]bool{0: true, 1: false} {
		prefix := "/" + strings.Repeat("x", 107-len(socket)-1+more)
		name := "a" + strings.Repeat("-b", 6+more)
		for flag, o := range map[string]kong.NginxOptions{"-kong-prefix: ": {Prefix: prefix}, "-header: ": {Prefix: "/p", Headers: []string{name}}} {
			if err := kong.WriteNginxConf(new(bytes.Buffer), o); (err == nil) != want || err != nil && !strings.HasPrefix(err.Error(), flag) {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
}

func TestNginxConfIsRefused(t *testing.T) {
	many := make([]string, 17)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for name, tt := range map[string]struct {
		o    kong.NginxOptions
		want string
	}{
		"relative prefix":  {kong.NginxOptions{Prefix: "kong"}, "-kong-prefix: "},
		"quote in prefix":  {kong.NginxOptions{Prefix: `/a";`}, "-kong-prefix: "},
		"variable":         {kong.NginxOptions{Prefix: `/$x`}, "-kong-prefix: "},
		"newline":          {kong.NginxOptions{Prefix: "/a\nb"}, "-kong-prefix: "},
		"long prefix":      {kong.NginxOptions{Prefix: "/" + strings.Repeat("x", 100)}, "-kong-prefix: "},
		"no header's name": {kong.NginxOptions{Prefix: "/p", Headers: []string{"x;y"}}, "-header: "},
		"empty name":       {kong.NginxOptions{Prefix: "/p", Headers: []string{""}}, "-header: "},
		"many dashes":      {kong.NginxOptions{Prefix: "/p", Headers: []string{"a-b-c-d-e-f-g-h"}}, "-header: "},
		"carried anyway":   {kong.NginxOptions{Prefix: "/p", Headers: []string{"Authorization"}}, "-header: "},
		"twice":            {kong.NginxOptions{Prefix: "/p", Headers: []string{"X-A", "x_a"}}, "-header: "},
		"edge":             {kong.NginxOptions{Prefix: "/p", Headers: []string{"Edge"}}, "-header: "},
		"too many":         {kong.NginxOptions{Prefix: "/p", Headers: many}, "-header: "},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := kong.WriteNginxConf(&b, tt.o); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
			if b.Len() > 0 {
				t.Error("something was written")
			}
		})
	}
}
