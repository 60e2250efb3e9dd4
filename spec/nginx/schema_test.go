package nginx_test

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"testing"
)

// TestSchemaInLua: -schema-lua prints the schema of -dump, and Lua needs nothing but
// ngx.null to read it: Konnect takes no schema that requires a module.
func TestSchemaInLua(t *testing.T) {
	n := startNode(t)
	lua, err := exec.Command(setup.plugin, "-schema-lua").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(setup.plugin, "-dump").Output()
	if err != nil {
		t.Fatal(err)
	}
	var dump struct{ Plugins []struct{ Schema any } }
	if err := json.Unmarshal(text, &dump); err != nil || len(dump.Plugins) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	n.write(t, "schema.lua", lua)
	a := dial(t, n.path("proxy")).get(t, "/schema")
	var read any
	if err := json.Unmarshal([]byte(a.body), &read); err != nil {
		t.Fatalf("%v: %d %s\n%s", err, a.status, a.body, n.errorLog(t))
	}
	if got, want := withoutEmptyLists(read), withoutEmptyLists(dump.Plugins[0].Schema); !reflect.DeepEqual(got, want) {
		t.Errorf("Lua reads\n%v\nwant\n%v", got, want)
	}
}

// withoutEmptyLists returns v with an empty object for each empty list in it: Lua
// does not tell them apart.
func withoutEmptyLists(v any) any {
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return object{}
		}
		for i := range v {
			v[i] = withoutEmptyLists(v[i])
		}
	case object:
		for name := range v {
			v[name] = withoutEmptyLists(v[name])
		}
	}
	return v
}
