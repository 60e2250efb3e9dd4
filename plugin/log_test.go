package plugin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
)

// logged sums a log entry up.
func logged(l *plugin.Log) string {
	if l == nil {
		return "nothing"
	}
	s := l.Outcome
	for _, f := range [][2]string{
		{"reason", string(l.Reason)},
		{"claim", l.Claim},
		{"consumer", l.Consumer},
		{"credential", l.Credential},
		{"issuer", l.Issuer},
		{"kid", l.KeyID},
	} {
		if f[1] != "" {
			s += " " + f[0] + "=" + f[1]
		}
	}
	if l.MissedBy != nil {
		s += fmt.Sprintf(" missed=%v", *l.MissedBy)
	}
	for _, c := range l.Claims {
		if s += " " + c.Name + "="; c.IsList {
			s += fmt.Sprintf("%q", c.Texts)
		} else {
			s += c.Texts[0]
		}
	}
	return s
}

// TestReasons: what is logged of a token that is refused.
func TestReasons(t *testing.T) {
	const verify = `"claims_to_verify":["exp","nbf"],`
	at := func(claims string, exp, nbf int64) string {
		return fmt.Sprintf(`{"iss":"key","exp":%d,"nbf":%d%s}`, start.Unix()+exp, start.Unix()+nbf, claims)
	}
	for name, tt := range map[string]struct{ config, claims, want string }{
		"expired":                    {verify, at("", -42, -50), "reason=expired credential=key missed=42"},
		"expired just now":           {verify, at("", 0, 0), "reason=expired credential=key missed=0"},
		"expired beyond the leeway":  {verify + `"leeway":10,`, at("", -42, -50), "reason=expired credential=key missed=42"},
		"exp of minus infinity":      {verify, `{"iss":"key","nbf":0,"exp":-1e999}`, "reason=expired credential=key"},
		"not yet valid":              {verify, at("", 60, 5), "reason=not_yet_valid credential=key missed=5"},
		"both":                       {verify, at("", -1, 5), "reason=expired credential=key missed=1"},
		"no exp":                     {verify, `{"iss":"key","nbf":0}`, "reason=no_exp credential=key"},
		"no exp, not yet valid":      {verify, `{"iss":"key","nbf":1800000001}`, "reason=no_exp credential=key"},
		"exp is a text":              {verify, `{"iss":"key","nbf":0,"exp":"soon"}`, "reason=invalid_exp credential=key"},
		"no nbf":                     {verify, `{"iss":"key","exp":1800000001}`, "reason=no_nbf credential=key"},
		"nbf is a text":              {verify, `{"iss":"key","exp":1800000001,"nbf":"x"}`, "reason=invalid_nbf credential=key"},
		"beyond the maximum":         {verify + `"maximum_expiration":60,`, at("", 100, 0), "reason=exceeds_maximum_expiration credential=key missed=40"},
		"maximum without exp":        {`"maximum_expiration":60,`, `{"iss":"key"}`, "reason=no_exp credential=key"},
		"issuer":                     {`"issuers_allowed":["a"],"audience_required":["b"],`, `{"iss":"key"}`, "reason=wrong_issuer credential=key"},
		"audience":                   {`"audience_required":["b"],`, `{"iss":"key","aud":"c"}`, "reason=wrong_audience credential=key"},
		"scope":                      {`"scopes_required":["r"],"scopes_claim":["a","scp"],`, `{"iss":"key"}`, "reason=insufficient_scope claim=a.scp credential=key"},
		"claim":                      {`"claims_required":[{"claim":["a","b"],"value":"c"}],`, `{"iss":"key","a":{"b":"d"}}`, "reason=missing_claim claim=a.b credential=key"},
		"key claim":                  {`"key_claim_name":"client",`, `{"iss":"key"}`, "reason=no_key_claim claim=client"},
		"key claim is empty":         {``, `{"iss":""}`, "reason=invalid_key_claim claim=iss"},
		"unknown credential":         {``, `{"iss":"other"}`, "reason=unknown_credential"},
		"log_claims":                 {`"audience_required":["b"],"log_claims":[["sub"]],`, `{"iss":"key","sub":"s"}`, "reason=wrong_audience credential=key sub=s"},
		"log_claims, not verified":   {`"log_claims":[["iss"]],`, `{"iss":"other"}`, "reason=unknown_credential"},
		"log_claims, key claim only": {`"log_claims":[["iss"]],"key_claim_name":"client",`, `{"iss":"key"}`, "reason=no_key_claim claim=client"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			config := `{` + tt.config + `"log_serialize":true}`
			if got := logged(w.decide(t, w.engine(t, config), w.token(tt.claims)).Log); got != "refused "+tt.want {
				t.Errorf("got  %s\nwant refused %s", got, tt.want)
			}
		})
	}
}

// TestReasonsOfIssuers: kid and issuer are told where the issuer is a configured
// one, and the key one that it publishes.
func TestReasonsOfIssuers(t *testing.T) {
	const kid, alice = `,"kid":"k1"`, `,"sub":"alice"`
	for name, tt := range map[string]struct{ issuer, header, claims, want string }{
		"iat ahead":         {``, kid, alice + fmt.Sprintf(`,"iat":%d`, start.Unix()+3), "reason=issued_in_the_future credential=alice issuer=https://idp kid=k1 missed=3 sub=alice"},
		"iat is a text":     {``, kid, alice + `,"iat":"x"`, "reason=invalid_iat credential=alice issuer=https://idp kid=k1 sub=alice"},
		"audience":          {`,"audience":["a"]`, ``, alice, "reason=wrong_audience credential=alice issuer=https://idp kid=k1 sub=alice"},
		"consumer":          {``, kid, `,"sub":"bob"`, "reason=unknown_consumer claim=sub credential=bob issuer=https://idp kid=k1 sub=bob"},
		"nobody":            {`,"consumer_optional":true`, kid, ``, "reason=invalid_subject claim=sub issuer=https://idp kid=k1"},
		"kid of a stranger": {``, `,"kid":"k2"`, alice, "reason=unknown_key issuer=https://idp"},
		"algorithm":         {`,"algorithms":["ES384"]`, kid, alice, "reason=invalid_algorithm issuer=https://idp"},
		"type":              {`,"type":"at+jwt"`, kid, alice, "reason=invalid_type issuer=https://idp"},
	} {
		t.Run(name, func(t *testing.T) {
			w, token := issuing(t)
			e := w.engine(t, fmt.Sprintf(issuerConfig, tt.issuer, `,"log_serialize":true,"log_claims":[["sub"]]`))
			if got := logged(w.decide(t, e, token(tt.header, tt.claims)).Log); got != "refused "+tt.want {
				t.Errorf("got  %s\nwant refused %s", got, tt.want)
			}
		})
	}
	w, token := issuing(t)
	e := w.engine(t, fmt.Sprintf(issuerConfig, "", `,"log_serialize":true`))
	good := token(kid, alice)
	if got, want := logged(w.decide(t, e, good[:len(good)-8]+"AAAAAAAA").Log), "refused reason=invalid_signature issuer=https://idp kid=k1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	expect(t, w.decide(t, e, good), "accepted id-1 alice alice accepted consumer=id-1 credential=alice issuer=https://idp kid=k1")
}

func TestLogSerialize(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"log_serialize":true,"anonymous":"guest"}`)
	expect(t, w.decide(t, e, w.token(`{"iss":"key"}`)), accepted+` accepted consumer=id-1 credential=key`)
	for token, why := range map[string]string{"": "no_token", "bad": "malformed_token", w.token(`{"iss":"other"}`): "unknown_credential"} {
		expect(t, w.decide(t, e, token), anonymous+` anonymous reason=`+why+` consumer=id-guest`)
	}
	e = w.engine(t, `{"log_serialize":true,"shadow":true,"claims_to_verify":["exp"]}`)
	expect(t, w.decide(t, e, w.token(`{"iss":"key","exp":1}`)), "unidentified shadowed reason=expired credential=key missed=1.799999999e+09")
	if out := w.decide(t, w.engine(t, `{"log_claims":[["iss"]]}`), "bad"); out.Log != nil {
		t.Errorf("without log_serialize: %s", logged(out.Log))
	}
}

func TestLogClaims(t *testing.T) {
	long := strings.Repeat("ä", 1500)
	for claims, want := range map[string]string{
		`"a":"x","b":{"c":["y","z"]}`:                 ` a=x b.c=["y" "z"]`,
		`"a":7,"b":{"c":true}`:                        ` a=7 b.c=true`,
		`"a":null,"b":"no object"`:                    ``,
		`"a":{"x":[1]},"b":{"c":[]}`:                  ` a={"x":[1]} b.c=[]`,
		`"a":"` + long + `","b":{"c":["y"]}`:          ` a=` + long[:2048] + `… b.c=["…"]`,
		`"a":"` + long[:2048] + `","b":{"c":"y"}`:     ` a=` + long[:2048] + ` b.c=…`,
		`"a":"x` + long + `","b":{"c":"y"}`:           ` a=x` + long[:2046] + `… b.c=…`,
		`"a":[` + strings.Repeat(`"",`, 4000) + `""]`: ` a=[` + strings.Repeat(`"" `, 2047) + `""]`,
	} {
		w := newWorld(t)
		e := w.engine(t, `{"log_serialize":true,"log_claims":[["a"],["b","c"]]}`)
		expect(t, w.decide(t, e, w.token(`{"iss":"key",`+claims+`}`)), accepted+` accepted consumer=id-1 credential=key`+want)
	}
}

// A line of the log says what the reason means.
func TestReasonIsExplained(t *testing.T) {
	for _, r := range append(plugin.Reasons(), plugin.ReasonMeaning{Reason: "of another time"}) {
		o := plugin.Outcome{Refusal: &plugin.Refusal{Reason: r.Reason}}
		want := []any{"reason", r.Reason}
		if r.Meaning != "" {
			want = append(want, "why", r.Meaning)
		}
		if got := o.Told(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
