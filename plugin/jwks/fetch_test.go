package jwks_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/plugin/jwks"
)

func TestURLs(t *testing.T) {
	for name, tt := range map[string]struct{ issuer, jwksURI, want string }{
		"http":                     {"", "http://idp.example/keys", "URL is not https"},
		"http by address":          {"", "http://10.0.0.1/keys", "URL is not https"},
		"http, all addresses":      {"", "http://0.0.0.0/keys", "URL is not https"},
		"http, looks like local":   {"", "http://localhost.example/keys", "URL is not https"},
		"http, looks like address": {"", "http://127.0.0.1.example/keys", "URL is not https"},
		"http issuer":              {"http://idp.example", "", "URL is not https"},
		"file":                     {"", "file://localhost/etc/passwd", "URL is not https"},
		"no scheme":                {"", "idp.example/keys", "not a URL with a host"},
		"no host":                  {"", "https:///keys", "not a URL with a host"},
		"nothing to go by":         {"idp", "", "not a URL with a host"},
		"user":                     {"", "https://user:hunter2@127.0.0.1/keys", "URL contains a user name or password"},
		"user in the issuer":       {"https://user:hunter2@127.0.0.1", "", "URL contains a user name or password"},
		"user, not readable":       {"", "https://user:hunter2@%zz/keys", "URL cannot be read"},
		"query in the issuer":      {"https://127.0.0.1/?x=hunter2", "", "query or fragment"},
		"fragment in the issuer":   {"https://127.0.0.1/#hunter2", "", "query or fragment"},
	} {
		t.Run(name, func(t *testing.T) {
			var log book
			sets := jwks.New(jwks.Options{Log: log.log()})
			defer sets.Close()
			set := sets.Open(tt.issuer, tt.jwksURI)
			fails(t, set, tt.want)
			becomes(t, "it is logged", func() bool { return log.lines("cannot fetch") == 1 })
			_, err := set.Keys(t.Context(), "")
			if strings.Contains(log.String()+err.Error(), "hunter2") {
				t.Errorf("credentials are logged or told: %s %v", log.String(), err)
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	plain := httptest.NewServer(p)
	defer plain.Close()
	t.Run("loopback", func(t *testing.T) {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			set := p.sets(t, jwks.Options{}).Open("x", strings.Replace(plain.URL, "127.0.0.1", host, 1)+"/keys")
			defer set.Close()
			one(t, set, "k1")
		}
	})
	// A host that does not exist, at which plain is.
	client := &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(plain.URL) }}}
	t.Run("allowed", func(t *testing.T) {
		sets := jwks.New(jwks.Options{Client: client, AllowHTTP: true})
		defer sets.Close()
		one(t, sets.Open("x", "http://idp.example/keys"), "k1")
	})
	t.Run("not allowed", func(t *testing.T) {
		sets := jwks.New(jwks.Options{Client: client})
		defer sets.Close()
		fails(t, sets.Open("x", "http://idp.example/keys"), "URL is not https")
	})
	t.Run("not verified", func(t *testing.T) {
		sets := jwks.New(jwks.Options{})
		defer sets.Close()
		fails(t, sets.Open("x", p.URL+"/keys"), "certificate")
	})
}

func TestDiscoveryIsChecked(t *testing.T) {
	const self = "SELF"
	for name, tt := range map[string]struct{ answer, want string }{
		"another issuer":     {`{"issuer":"https://other","jwks_uri":"SELF/keys"}`, "another issuer"},
		"slash more":         {`{"issuer":"SELF/","jwks_uri":"SELF/keys"}`, "another issuer"},
		"other letters":      {`{"issuer":"HTTPSELF","jwks_uri":"SELF/keys"}`, "another issuer"},
		"no issuer":          {`{"jwks_uri":"SELF/keys"}`, "another issuer"},
		"other member":       {`{"Issuer":"SELF","jwks_uri":"SELF/keys"}`, "another issuer"},
		"issuer is a list":   {`{"issuer":["SELF"],"jwks_uri":"SELF/keys"}`, "another issuer"},
		"no URL":             {`{"issuer":"SELF"}`, "no jwks_uri"},
		"URL is a number":    {`{"issuer":"SELF","jwks_uri":1}`, "no jwks_uri"},
		"http":               {`{"issuer":"SELF","jwks_uri":"http://idp.example/keys"}`, "URL is not https"},
		"http at loopback":   {`{"issuer":"SELF","jwks_uri":"http://127.0.0.1/keys"}`, "jwks_uri is not https"},
		"user":               {`{"issuer":"SELF","jwks_uri":"https://a:b@127.0.0.1/keys"}`, "URL contains a user name or password"},
		"file":               {`{"issuer":"SELF","jwks_uri":"file:///etc/passwd"}`, "not a URL with a host"},
		"relative":           {`{"issuer":"SELF","jwks_uri":"/keys"}`, "not a URL with a host"},
		"no object":          {`[]`, "not a JSON object"},
		"something after it": {`{"issuer":"SELF","jwks_uri":"SELF/keys"}{}`, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, p256(t, "k1"))
			p.answer(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, strings.NewReplacer("HTTPSELF", strings.ToUpper(p.URL), self, p.URL).Replace(tt.answer))
			})
			_, set := p.open(t, jwks.Options{})
			fails(t, set, tt.want)
			if n := p.fetches.Load(); n != 0 {
				t.Errorf("keys were asked for")
			}
		})
	}
}

func TestDiscoveryOfHTTP(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	plain := httptest.NewServer(p)
	defer plain.Close()
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == discoveryPath {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.URL, plain.URL+"/keys")
			return
		}
		fmt.Fprint(w, p.keys)
	})
	_, set := p.open(t, jwks.Options{AllowHTTP: true})
	one(t, set, "k1")
	_, strict := p.open(t, jwks.Options{})
	fails(t, strict, "jwks_uri is not https")
}

type panics struct{}

func (panics) RoundTrip(*http.Request) (*http.Response, error) { panic("some secret") }

func TestPanicIsAnError(t *testing.T) {
	sets := jwks.New(jwks.Options{Client: &http.Client{Transport: panics{}}})
	defer sets.Close()
	fails(t, sets.Open("x", "https://idp.example/keys"), "jwks: panic")
}

func TestRedirects(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	plain := httptest.NewServer(p)
	defer plain.Close()
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" {
			t.Error("told where it was redirected from")
		}
		to := map[string]string{
			"/1": "/keys?x", "/2": "/1", "/3": "/2", "/4": "/3", "/loop": "/loop",
			"/plain": plain.URL + "/keys", "/elsewhere": "http://idp.example/keys", "/tls": p.URL + "/keys",
			"/user": strings.Replace(p.URL, "//", "//user:hunter2@", 1) + "/keys", "/file": "file:///etc/passwd",
		}[r.URL.Path]
		if to == "" {
			fmt.Fprint(w, p.keys)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	for name, tt := range map[string]struct{ url, want string }{
		"one":                    {p.URL + "/1", ""},
		"three":                  {p.URL + "/3", ""},
		"four":                   {p.URL + "/4", "more than 3 redirects"},
		"no end":                 {p.URL + "/loop", "more than 3 redirects"},
		"https to http":          {p.URL + "/plain", "from https"},
		"https to http anywhere": {p.URL + "/elsewhere", "from https"},
		"https to file":          {p.URL + "/file", "from https"},
		"credentials":            {p.URL + "/user", "URL contains a user name or password"},
		"http to https":          {plain.URL + "/tls", ""},
		"http to http":           {plain.URL + "/1", ""},
		"http to http elsewhere": {plain.URL + "/elsewhere", "URL is not https"},
	} {
		for _, allowed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", http allowed: ", allowed), func(t *testing.T) {
				if allowed && tt.url == plain.URL+"/elsewhere" {
					t.Skip("is allowed, and there is no such host")
				}
				set := p.sets(t, jwks.Options{AllowHTTP: allowed}).Open("x", tt.url)
				defer set.Close()
				if tt.want == "" {
					one(t, set, "k1")
					return
				}
				fails(t, set, tt.want)
				if _, err := set.Keys(t.Context(), ""); strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error tells credentials: %v", err)
				}
			})
		}
	}
}

func TestBounds(t *testing.T) {
	keys := func(n int) string { return `{"keys":[` + strings.TrimSuffix(strings.Repeat("{},", n), ",") + `]}` }
	t.Run("body", func(t *testing.T) {
		p := newProvider(t)
		text := keys(0) + strings.Repeat(" ", 1000)
		p.publishText(text)
		set := p.sets(t, jwks.Options{MaxBytes: int64(len(text))}).Open("x", p.URL+"/keys")
		defer set.Close()
		get(t, set, "")
		small := p.sets(t, jwks.Options{MaxBytes: int64(len(text)) - 1}).Open("x", p.URL+"/keys")
		defer small.Close()
		fails(t, small, "answer has more than")
	})
	t.Run("endless body", func(t *testing.T) {
		p := newProvider(t)
		p.answer(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		})
		_, set := p.open(t, jwks.Options{})
		fails(t, set, "answer has more than 1048576 bytes")
	})
	t.Run("dripping body", func(t *testing.T) {
		p := newProvider(t)
		p.answer(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		})
		_, set := p.open(t, jwks.Options{Timeout: 100 * time.Millisecond})
		timesOut(t, set)
	})
	t.Run("keys", func(t *testing.T) {
		p := newProvider(t)
		p.publishText(keys(100))
		_, set := p.open(t, jwks.Options{})
		get(t, set, "")
		p.publishText(keys(101))
		_, more := p.open(t, jwks.Options{})
		fails(t, more, "101 keys, more than 100")
	})
	t.Run("header", func(t *testing.T) {
		p := newProvider(t)
		p.answer(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) })
		_, set := p.open(t, jwks.Options{})
		fails(t, set, "header")
	})
}

// What is asked for tells nothing but what it must.
func TestRequest(t *testing.T) {
	p := newProvider(t)
	headers := make(chan http.Header, 1)
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/keys", http.StatusFound)
			return
		}
		select {
		case headers <- r.Header:
		default:
		}
	})
	set := p.sets(t, jwks.Options{}).Open("x", p.URL+"/")
	defer set.Close()
	h := <-headers
	for name := range h {
		if name != "Accept" && name != "Accept-Encoding" && name != "User-Agent" {
			t.Errorf("sends %s", name)
		}
	}
}
