package plugin_test

import (
	"slices"
	"testing"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

func TestSpellings(t *testing.T) {
	got := plugin.Spellings("X-A_B")
	want := []string{"X-A_B", "X_A_B", "X-A-B", "X_A-B"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Headers of claims are removed in every other spelling, while there are few.
func TestConfiguredDisguises(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []string
		guard   bool
		want    []string
		few     bool
	}{
		"none":             {nil, true, nil, true},
		"no dash":          {[]string{"User"}, true, nil, true},
		"one":              {[]string{"X-User"}, true, []string{"X_User"}, true},
		"three":            {[]string{"X-User-Name"}, true, []string{"X_User-Name", "X-User_Name", "X_User_Name"}, true},
		"one is the other": {[]string{"X-User", "X_User"}, true, nil, true},
		"several":          {[]string{"X-User", "X_Mail"}, true, []string{"X_User", "X-Mail"}, true},
		"most of one": {
			[]string{"X-A-B-C"},
			true,
			[]string{"X_A-B-C", "X-A_B-C", "X_A_B-C", "X-A-B_C", "X_A-B_C", "X-A_B_C", "X_A_B_C"},
			true,
		},
		"as many as there may be": {
			[]string{"X-A-B-C", "X-User"},
			true,
			[]string{"X_A-B-C", "X-A_B-C", "X_A_B-C", "X-A-B_C", "X_A-B_C", "X-A_B_C", "X_A_B_C", "X_User"},
			true,
		},
		"too many":  {[]string{"X-A-B-C", "X-User", "X-Mail"}, true, nil, false},
		"very many": {[]string{"X-a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z-0-1-2-3-4-5-6-7-8-9-a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p"}, true, nil, false},
		"unguarded": {[]string{"X-A-B-C-D-E"}, false, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &schema.Config{GuardHeaders: tt.guard}
			for _, h := range tt.headers {
				c.ClaimsToHeaders = append(c.ClaimsToHeaders, schema.ClaimHeader{Header: h})
			}
			got, few := plugin.ConfiguredDisguises(c)
			if !slices.Equal(got, tt.want) || few != tt.few {
				t.Errorf("got %q, %v; want %q, %v", got, few, tt.want, tt.few)
			}
		})
	}
}
