package conformance

// ExtraRoutes are the routes of the specs beside the recorded cases.
func ExtraRoutes(plugin string) []any {
	route := func(path string, plugins ...any) any {
		return table{"name": path[1:], "paths": []any{path}, "plugins": append([]any{}, plugins...)}
	}
	jwt := func(config table) any { return table{"name": plugin, "config": config} }
	key := func(config table) any { return table{"name": "key-auth", "config": config} }
	return []any{
		route("/plain", jwt(table{})),
		route("/unguarded", jwt(table{"guard_headers": false})),
		route("/preflight", jwt(table{"run_on_preflight": false})),
		route("/anonymous", jwt(table{"anonymous": Anonymous})),
		route("/and", jwt(table{}), key(table{})),
		route("/dna", key(table{}), jwt(table{})),
		route("/or", jwt(table{"anonymous": Anonymous}), key(table{"anonymous": Anonymous})),
		route("/ro", key(table{"anonymous": Anonymous}), jwt(table{"anonymous": Anonymous})),
		route("/open"),
	}
}
