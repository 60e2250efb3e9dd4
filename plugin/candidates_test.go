package plugin_test

import (
	"reflect"
	"testing"
)

// Several credentials of one key: each token is verified with the one that fits,
// by the algorithm that this one has.
func TestCredentialsOfOneKey(t *testing.T) {
	const config = `{"credentials":[
		{"key":"own","secret":"other","consumer":"id-1"},
		{"key":"rotated","secret":"old secret","consumer":"id-1"},
		{"key":"rotated","secret":"new secret","consumer":"id-1"},
		{"key":"rotated","secret":"new secret","algorithm":"HS512","consumer":"id-1"}]}`
	rotated := "accepted id-1 alice rotated"
	type uses = map[int]int
	for name, tt := range map[string]struct {
		token string
		want  string
		used  map[int]int
	}{
		"old":              {sign(`{"alg":"HS256"}`, `{"iss":"rotated"}`, "old secret"), rotated, uses{2: 1}},
		"new":              {sign(`{"alg":"HS256"}`, `{"iss":"rotated"}`, "new secret"), rotated, uses{3: 1}},
		"neither":          {sign(`{"alg":"HS256"}`, `{"iss":"rotated"}`, "other"), message(401, "Invalid signature"), uses{}},
		"another's":        {sign(`{"alg":"HS256"}`, `{"iss":"own"}`, "new secret"), message(401, "Invalid signature"), uses{}},
		"alone":            {sign(`{"alg":"HS256"}`, `{"iss":"own"}`, "other"), "accepted id-1 alice own", uses{}},
		"another's claim":  {sign(`{"alg":"HS512"}`, `{"iss":"rotated"}`, "new secret"), message(401, "Invalid signature"), uses{}}, // signed with SHA-256
		"no such method":   {sign(`{"alg":"HS384"}`, `{"iss":"rotated"}`, "old secret"), message(401, "Invalid algorithm"), uses{}},
		"method of nobody": {sign(`{"alg":"HS512"}`, `{"iss":"own"}`, "other"), message(401, "Invalid algorithm"), uses{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			expect(t, w.decide(t, w.engine(t, config), tt.token), tt.want)
			if !reflect.DeepEqual(w.used, tt.used) {
				t.Errorf("used by position: %v, want %v", w.used, tt.used)
			}
		})
	}
}
