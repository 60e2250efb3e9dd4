package schema_test

import (
	"testing"

	"kong-go-jwt/schema"
)

func TestParseRefusesWhatBindsNothing(t *testing.T) {
	const header = `"certificate_header_name":"C","certificate_header_format":"url_encoded"`
	for config, want := range map[string]string{
		`{"mtls_binding":"on"}`:                                             "config.mtls_binding: expected one of: off, honour, required",
		`{"certificate_header_name":"X Y"}`:                                 "config.certificate_header_name: invalid value: must match ^[0-9A-Za-z_-]+$",
		`{` + header + `}`:                                                  "config.trusted_proxies: required field missing (needed with certificate_header_name and certificate_header_format)",
		`{"certificate_header_name":"C","trusted_proxies":["::1"]}`:         "config.certificate_header_format: required field missing (needed with certificate_header_name and trusted_proxies)",
		`{` + header + `,"trusted_proxies":["::1","10.0.0.0/33"]}`:          "config.trusted_proxies[2]: is neither an address nor a CIDR block",
		`{` + header + `,"trusted_proxies":["proxy.example"]}`:              "config.trusted_proxies[1]: is neither an address nor a CIDR block",
		`{` + header + `,"trusted_proxies":["fe80::1%eth0"]}`:               "config.trusted_proxies[1]: is neither an address nor a CIDR block",
		`{` + header + `,"trusted_proxies":["a","::1","b"]}`:                "config.trusted_proxies[1]: is neither an address nor a CIDR block\nconfig.trusted_proxies[3]: is neither an address nor a CIDR block",
		`{` + header + `,"trusted_proxies":["::1","10.0.0.0/8","1.2.3.4"]}`: "",
	} {
		t.Run(config, func(t *testing.T) {
			if _, got := parse(t, config); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestBindingIsOn(t *testing.T) {
	for b, want := range map[schema.Binding]bool{schema.BindingOff: false, schema.BindingHonour: true, schema.BindingRequired: true} {
		if got := b.On(); got != want {
			t.Errorf("%s is on: %t", b, got)
		}
	}
}
