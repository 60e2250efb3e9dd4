package nginx_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const (
	workspace = "0dc6f45b-8f8d-40d2-a504-473544ee190b"
	aliceID   = "2cd2ab43-0b1c-4b2a-9b4b-0a43f2ac0001"
	bobID     = "2cd2ab43-0b1c-4b2a-9b4b-0a43f2ac0002"
	secretID  = "5e0fe4d5-36f2-4a1e-8f0e-c2a0e5b90001"
)

// credential is a row of jwt_secrets.
func credential(key string) object {
	return object{
		"id": secretID, "key": key, "secret": "s", "algorithm": "HS256", "created_at": 1700000000.0,
		"consumer": object{"id": aliceID},
	}
}

var (
	alice = object{"id": aliceID, "username": "alice", "custom_id": "a-1", "tags": []any{"t"}, "created_at": 1700000000.0}
	// bob has alice's id for a name, and a name that is an id in capitals for custom_id.
	bob = object{"id": bobID, "username": aliceID, "custom_id": strings.ToUpper(bobID), "created_at": 1700000001.0}
)

func decoded(t testing.TB, text string) object {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return o
}

func message(text string) object { return object{"message": text} }

func TestLookup(t *testing.T) {
	n := startNode(t)
	n.change(t, "jwt_secrets", credential("k"))
	n.change(t, "consumers", alice)
	n.change(t, "consumers", bob)
	c := n.store(t)
	for name, tt := range map[string]struct {
		target string
		status int
		body   object
	}{
		"credential":                {"/jwt_secrets?key=k", 200, credential("k")},
		"unknown credential":        {"/jwt_secrets?key=x", 404, message("Not found")},
		"other case":                {"/jwt_secrets?key=K", 404, message("Not found")},
		"id":                        {"/consumers?id=" + bobID, 200, bob},
		"id in capitals":            {"/consumers?id=" + strings.ToUpper(bobID), 200, bob},
		"id that is a username too": {"/consumers?id=" + aliceID, 200, alice},
		"unknown id":                {"/consumers?id=" + secretID, 404, message("Not found")},
		"no id":                     {"/consumers?id=alice", 404, message("Not found")},
		"no id, but for a newline":  {"/consumers?id=" + aliceID + "%0A", 404, message("Not found")},
		"username":                  {"/consumers?username=alice", 200, alice},
		"username that is an id":    {"/consumers?username=" + aliceID, 200, bob},
		"id for a username":         {"/consumers?username=" + bobID, 404, message("Not found")},
		"unknown username":          {"/consumers?username=x", 404, message("Not found")},
		"username and a newline":    {"/consumers?username=" + aliceID + "%0A", 404, message("Not found")},
		"custom_id":                 {"/consumers?custom_id=a-1", 200, alice},
		"unknown custom_id":         {"/consumers?custom_id=x", 404, message("Not found")},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 { // first from the database, then from the cache
				a := c.get(t, tt.target)
				if a.status != tt.status || !reflect.DeepEqual(decoded(t, a.body), tt.body) {
					t.Fatalf("%d %s", a.status, a.body)
				}
				header := map[string]string{"Content-Type": "application/json", "Content-Length": strconv.Itoa(len(a.body)), "X-Go-Jwt-Store": "1"}
				for name, want := range header {
					if got := a.header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	const lost = "failed to get from node cache: [postgres] connection refused"
	n := startNode(t)
	n.change(t, "jwt_secrets", credential("k"))
	n.change(t, "consumers", alice)
	c := n.store(t)
	for name, tt := range map[string]struct {
		method, target string
		fault          string
		value          any
		status         int
		message        string // begins so
	}{
		"POST":                      {method: "POST", target: "/jwt_secrets?key=k", status: 405, message: "only GET"},
		"HEAD":                      {method: "HEAD", target: "/jwt_secrets?key=k", status: 405},
		"DELETE":                    {method: "DELETE", target: "/consumers?id=" + aliceID, status: 405, message: "only GET"},
		"no location":               {target: "/", status: 400, message: "no such location"},
		"below a location":          {target: "/jwt_secrets/k", status: 400, message: "no such location"},
		"no field":                  {target: "/jwt_secrets", status: 400, message: "ask by one field"},
		"no value":                  {target: "/jwt_secrets?key", status: 400, message: "ask by one field"},
		"empty value":               {target: "/jwt_secrets?key=", status: 400, message: "ask by one field"},
		"other field":               {target: "/jwt_secrets?id=" + secretID, status: 400, message: "ask by one field"},
		"secret":                    {target: "/jwt_secrets?secret=s", status: 400, message: "ask by one field"},
		"field twice":               {target: "/jwt_secrets?key=k&key=k", status: 400, message: "ask by one field"},
		"two fields":                {target: "/consumers?username=alice&custom_id=a-1", status: 400, message: "ask by one field"},
		"many fields":               {target: "/consumers?a=1&b=2&c=3&username=alice", status: 400, message: "ask by one field"},
		"changes of nothing":        {target: "/changes", status: 400, message: "ask with worker and since"},
		"changes since words":       {target: "/changes?worker=&since=x", status: 400, message: "ask with worker and since"},
		"changes of two workers":    {target: "/changes?worker=a&worker=b&since=0", status: 400, message: "ask with worker and since"},
		"database is lost":          {target: "/jwt_secrets?key=1", fault: "lost", value: true, status: 503, message: lost},
		"consumer by id":            {target: "/consumers?id=" + bobID, fault: "lost", value: true, status: 503, message: lost},
		"consumer by username":      {target: "/consumers?username=1", fault: "lost", value: true, status: 503, message: lost},
		"consumer by custom_id":     {target: "/consumers?custom_id=1", fault: "lost", value: true, status: 503, message: "[postgres] connection refused"},
		"Kong throws":               {target: "/jwt_secrets?key=2", fault: "throws", value: true, status: 503, message: "failed to get from node cache: callback threw an error: "},
		"Kong throws past a cache":  {target: "/consumers?custom_id=2", fault: "throws", value: true, status: 503},
		"no kong.db":                {target: "/jwt_secrets?key=k", fault: "without", value: "db", status: 501, message: "no Kong here"},
		"changes without kong.db":   {target: "/changes?worker=&since=0", fault: "without", value: "db", status: 501, message: "no Kong here"},
		"no jwt_secrets":            {target: "/jwt_secrets?key=k", fault: "without", value: "db.jwt_secrets", status: 501, message: "no jwt_secrets here"},
		"consumers, no jwt_secrets": {target: "/consumers?username=9", fault: "without", value: "db.jwt_secrets", status: 404, message: "Not found"},
		"no consumers":              {target: "/consumers?id=" + aliceID, fault: "without", value: "db.consumers", status: 501, message: "no consumers here"},
		"secrets, no consumers":     {target: "/jwt_secrets?key=9", fault: "without", value: "db.consumers", status: 404, message: "Not found"},
		"no cache":                  {target: "/jwt_secrets?key=k", fault: "without", value: "cache", status: 501},
		"no cache.get":              {target: "/jwt_secrets?key=k", fault: "without", value: "cache.get", status: 501},
		"no cache.probe":            {target: "/jwt_secrets?key=k", fault: "without", value: "cache.probe", status: 501},
		"no worker events":          {target: "/changes?worker=&since=0", fault: "without", value: "worker_events", status: 501, message: "no worker events here"},
		"no register":               {target: "/changes?worker=&since=0", fault: "without", value: "worker_events.register", status: 501, message: "no worker events here"},
		"register throws":           {target: "/changes?worker=&since=0", fault: "register throws", value: true, status: 501},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.fault != "" {
				n.set(t, tt.fault, tt.value)
				defer n.set(t, tt.fault, false)
			}
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			a := c.do(t, method, tt.target, nil, nil)
			if a.status != tt.status || a.header.Get("X-Go-Jwt-Store") != "1" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if method == http.MethodHead {
				return
			}
			if got, _ := decoded(t, a.body)["message"].(string); got == "" || !strings.HasPrefix(got, tt.message) {
				t.Errorf("message %q", got)
			}
		})
	}
	// What failed was not remembered, and what is remembered is had without a database.
	if a := c.get(t, "/jwt_secrets?key=1"); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.get(t, "/jwt_secrets?key=k")
	n.set(t, "lost", true)
	if a := c.get(t, "/jwt_secrets?key=k"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestHostileKeys(t *testing.T) {
	n := startNode(t)
	c := n.store(t)
	for name, key := range map[string]string{
		"climbing":       "../../../etc/passwd",
		"slashes":        "https://auth.example.com//a/",
		"spaces":         "  a  b ",
		"plus":           "a+b",
		"percent":        "100%",
		"encoded twice":  "%25%32%35",
		"query":          "a=b&c=d?e#f;g",
		"colons":         "jwt_secrets:k:::::" + workspace,
		"UTF-8":          "schlüssel-鍵-🔑",
		"quotes":         `"'\'; DROP TABLE jwt_secrets; --`,
		"Lua":            "]] os.exit() [[",
		"newlines":       "a\r\nX-Evil: 1\r\n\r\nb",
		"control":        "\x01\x1f\x7f",
		"pattern":        "%d+.*^$",
		"like an id":     aliceID,
		"8 KiB":          strings.Repeat("k", 8<<10),
		"8 KiB encoded":  strings.Repeat("鍵", 8<<10/9),
		"30 KiB":         strings.Repeat("k", 30<<10-4),
		"30 KiB encoded": strings.Repeat("/", 10<<10-2),
	} {
		t.Run(name, func(t *testing.T) {
			target := "/jwt_secrets?key=" + url.QueryEscape(key)
			if a := c.get(t, target); a.status != http.StatusNotFound {
				t.Fatalf("before there is one: %d %s", a.status, a.body)
			}
			row := credential(key)
			n.change(t, "jwt_secrets", row)
			eventually(t, "the credential is found", func() bool { return c.get(t, target).status == http.StatusOK })
			if a := c.get(t, target); !reflect.DeepEqual(decoded(t, a.body), row) || a.header.Get("X-Evil") != "" {
				t.Errorf("%s", a.body)
			}
			n.remove(t, "jwt_secrets", row)
			if a := c.get(t, target); a.status != http.StatusNotFound {
				t.Errorf("after it is gone: %d %s", a.status, a.body)
			}
		})
	}
	queries := n.queries(t)
	for name, query := range map[string]string{
		"NUL": "key=a%00b", "NUL alone": "key=%00", "NUL in a username": "username=a%00b",
	} {
		path := "/jwt_secrets?"
		if strings.HasPrefix(query, "username") {
			path = "/consumers?"
		}
		if a := c.get(t, path+query); a.status != http.StatusNotFound || n.queries(t) != queries {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for name, query := range map[string]string{"not UTF-8": "%FF%FE", "half a rune": "%E9%8D"} {
		if a := c.get(t, "/jwt_secrets?key="+query); a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	// More than nginx takes is refused by nginx, and the next request is served.
	if a := c.get(t, "/jwt_secrets?key="+strings.Repeat("k", 40<<10)); a.status != http.StatusRequestURITooLong {
		t.Errorf("40 KiB: %d", a.status)
	}
	if a := n.store(t).get(t, "/jwt_secrets?key=k"); a.status != http.StatusNotFound {
		t.Errorf("afterwards: %d", a.status)
	}
}

// Rows are in Kong's cache under Kong's names, where Kong's plugins find them too.
func TestKongsCache(t *testing.T) {
	n := startNode(t)
	n.change(t, "jwt_secrets", credential("k:1"))
	n.change(t, "consumers", alice)
	conns, _ := n.bothWorkers(t)
	for name, tt := range map[string]struct {
		target, cached string
		row            object
	}{
		"credential":          {"/jwt_secrets?key=k:1", "jwt_secrets:k:1:::::" + workspace, credential("k:1")},
		"none":                {"/jwt_secrets?key=x", "jwt_secrets:x:::::" + workspace, nil},
		"consumer":            {"/consumers?id=" + aliceID, "consumers:" + aliceID + ":::::" + workspace, alice},
		"consumer's username": {"/consumers?username=alice", "consumers:alice:::::" + workspace, alice},
	} {
		t.Run(name, func(t *testing.T) {
			probe := object{"do": "probe", "key": tt.cached}
			if got := n.order(t, probe); got["cached"] == true {
				t.Fatalf("already there: %v", got)
			}
			queries := n.queries(t)
			for range 3 {
				for _, c := range conns {
					c.get(t, tt.target)
				}
			}
			got := n.order(t, probe)
			row, _ := got["row"].(object)
			if got["cached"] != true || !maps.EqualFunc(row, tt.row, func(a, b any) bool { return reflect.DeepEqual(a, b) }) {
				t.Errorf("%v", got)
			}
			if n := n.queries(t) - queries; n != 1 {
				t.Errorf("%d queries", n)
			}
		})
	}
	// In capitals an id has the name that changes go by.
	c := conns[0]
	c.get(t, "/consumers?id="+strings.ToUpper(aliceID))
	renamed := maps.Clone(alice)
	renamed["username"] = "alicia"
	n.change(t, "consumers", renamed)
	if a := c.get(t, "/consumers?id="+strings.ToUpper(aliceID)); !reflect.DeepEqual(decoded(t, a.body), renamed) {
		t.Errorf("%s", a.body)
	}
}

// A worker that has not heard of a change yet does not answer from its own memory:
// the plugin may have been told by the other one, and asks this one.
func TestWorkerLagsBehind(t *testing.T) {
	n := startNode(t)
	n.change(t, "jwt_secrets", credential("changed"))
	n.change(t, "jwt_secrets", object{"id": bobID, "key": "kept", "secret": "s", "consumer": object{"id": aliceID}})
	conns, at := n.bothWorkers(t)
	targets := map[string]string{"changed": "/jwt_secrets?key=changed", "created": "/jwt_secrets?key=created", "kept": "/jwt_secrets?key=kept"}
	for _, c := range conns {
		for _, target := range targets {
			c.get(t, target)
		}
	}
	lagging := at[1].pid(t)
	n.set(t, "held", lagging)
	changed, created := credential("changed"), credential("created")
	changed["secret"], created["id"] = "new", workspace
	n.change(t, "jwt_secrets", changed)
	n.change(t, "jwt_secrets", created)
	for range 2 {
		for name, want := range map[string]object{"changed": changed, "created": created} {
			if a := conns[1].get(t, targets[name]); a.status != 200 || !reflect.DeepEqual(decoded(t, a.body), want) {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
	queries := n.queries(t)
	if a := conns[1].get(t, targets["kept"]); a.status != 200 || n.queries(t) != queries {
		t.Errorf("%d %s, %d queries", a.status, a.body, n.queries(t)-queries)
	}
	n.order(t, object{"do": "purge"})
	if a := conns[1].get(t, targets["kept"]); a.status != 200 || n.queries(t) != queries+1 {
		t.Errorf("after a purge: %d %s, %d queries", a.status, a.body, n.queries(t)-queries)
	}
}
