package plugin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin"
)

const issuerConfig = `{"issuers":[{"issuer":"https://idp","jwks_uri":"https://idp/keys","algorithms":["ES256"]%s}]%s}`

// issuing is a world with an issuer whose key signs.
func issuing(t *testing.T) (*world, func(header, claims string) string) {
	t.Helper()
	w := newWorld(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.published = map[string][]*plugin.PublishedKey{"https://idp": {{KeyID: "k1", Key: &key.PublicKey}}}
	w.consumers["alice"] = w.consumers["id-1"]
	return w, func(header, claims string) string {
		b64 := base64.RawURLEncoding.EncodeToString
		signed := b64([]byte(`{"alg":"ES256"`+header+`}`)) + "." + b64(fmt.Appendf(nil, `{"iss":"https://idp","exp":%d%s}`, start.Unix()+100, claims))
		signature, err := jwt.SigningMethodES256.Sign(signed, key)
		if err != nil {
			t.Fatal(err)
		}
		return signed + "." + b64(signature)
	}
}

func TestIssuer(t *testing.T) {
	const kid, alice = `,"kid":"k1"`, `,"sub":"alice"`
	const claims2 = `,"consumer_claims":[["user","name"],["azp"]]`
	unknownKey := message(401, "No key found for the token")
	noConsumer := message(401, "Could not find consumer for claim 'sub'")
	for name, tt := range map[string]struct{ issuer, header, claims, want string }{
		"consumer by username":         {``, kid, alice, "accepted id-1 alice alice"},
		"no kid":                       {``, ``, alice, "accepted id-1 alice alice"},
		"unknown kid":                  {``, `,"kid":"k2"`, alice, unknownKey},
		"kid is no text":               {``, `,"kid":1`, alice, unknownKey},
		"kid injection":                {``, `,"kid":"../k1' OR 1=1"`, alice, unknownKey},
		"algorithm not allowed":        {`,"algorithms":["RS256"]`, kid, alice, message(401, "Invalid algorithm")},
		"other consumer":               {``, kid, `,"sub":"nobody"`, noConsumer},
		"id is no username":            {``, kid, `,"sub":"id-1"`, noConsumer},
		"no sub":                       {``, kid, ``, noConsumer},
		"consumer by id":               {`,"consumer_by":"id"`, kid, `,"sub":"id-1"`, "accepted id-1 alice id-1"},
		"username is no id":            {`,"consumer_by":"id"`, kid, alice, noConsumer},
		"consumer by custom_id":        {`,"consumer_by":"custom_id"`, kid, `,"sub":"a-1"`, "accepted id-1 alice a-1"},
		"unknown custom_id":            {`,"consumer_by":"custom_id"`, kid, `,"sub":"a-2"`, noConsumer},
		"nested consumer claim":        {`,"consumer_claim":["user","name"]`, kid, `,"sub":"s","user":{"name":"alice"}`, "accepted id-1 alice s"},
		"first of several claims":      {claims2, kid, `,"sub":"s","user":{"name":"alice"},"azp":"app"`, "accepted id-1 alice s"},
		"second of several claims":     {claims2, kid, `,"sub":"s","azp":"alice"`, "accepted id-1 alice s"},
		"first claim decides":          {claims2, kid, `,"sub":"s","user":{"name":"nobody"},"azp":"alice"`, message(401, "Could not find consumer for claim 'user.name'")},
		"first claim is no text":       {claims2, kid, `,"sub":"s","user":{"name":1},"azp":"alice"`, message(401, "Could not find consumer for claim 'user.name'")},
		"none of several claims":       {claims2, kid, `,"sub":"alice"`, message(401, "Could not find consumer for claim 'user.name'")},
		"without sub, with consumer":   {`,"consumer_claim":["name"]`, kid, `,"name":"alice"`, "accepted id-1 alice id-1"},
		"consumer optional":            {`,"consumer_optional":true`, kid, `,"sub":"nobody"`, "accepted nobody"},
		"consumer optional, and there": {`,"consumer_optional":true`, kid, alice, "accepted id-1 alice alice"},
		"credential claim":             {`,"consumer_optional":true,"credential_claim":["azp"]`, kid, `,"sub":"s","azp":"app"`, "accepted app"},
		"nested credential claim":      {`,"credential_claim":["user","id"]`, kid, alice + `,"user":{"id":"u"}`, "accepted id-1 alice u"},
		"credential claim is no text":  {`,"consumer_optional":true,"credential_claim":["azp"]`, kid, `,"sub":"s","azp":["app"]`, message(401, "Invalid 'azp' in claims")},
		"no nested credential claim":   {`,"consumer_optional":true,"credential_claim":["user","id"]`, kid, `,"sub":"s"`, message(401, "Invalid 'user.id' in claims")},
		"no credential claim":          {`,"credential_claim":["azp"]`, kid, alice, "accepted id-1 alice id-1"},
		"prefix":                       {`,"consumer_optional":true,"credential_prefix_issuer":true`, kid, `,"sub":"s"`, "accepted https://idp#s"},
		"prefix, consumer":             {`,"credential_prefix_issuer":true`, kid, alice, "accepted id-1 alice https://idp#alice"},
		"prefix, credential claim":     {`,"consumer_optional":true,"credential_prefix_issuer":true,"credential_claim":["azp"]`, kid, `,"azp":"a#b"`, "accepted https://idp#a#b"},
		"prefix, no credential claim":  {`,"credential_prefix_issuer":true,"consumer_claim":["name"]`, kid, `,"name":"alice"`, "accepted id-1 alice id-1"},
		"consumer optional, no sub":    {`,"consumer_optional":true`, kid, ``, message(401, "Invalid 'sub' in claims")},
		"audience":                     {`,"audience":["api","other"]`, kid, alice + `,"aud":["x","api"]`, "accepted id-1 alice alice"},
		"other audience":               {`,"audience":["api"]`, kid, alice + `,"aud":"apis"`, `401 {"aud":"audience not allowed"}`},
		"no audience":                  {`,"audience":["api"]`, kid, alice, `401 {"aud":"audience not allowed"}`},
		"type":                         {`,"type":"at+jwt"`, kid + `,"typ":"application/AT+jwt"`, alice, "accepted id-1 alice alice"},
		"other type":                   {`,"type":"at+jwt"`, kid + `,"typ":"JWT"`, alice, message(401, "Invalid token type")},
		"no type":                      {`,"type":"at+jwt"`, kid, alice, message(401, "Invalid token type")},
		"expired":                      {``, kid, alice + fmt.Sprintf(`,"exp":%d`, start.Unix()), `401 {"exp":"token expired"}`},
		"without exp":                  {``, kid, alice + `,"exp":null`, `401 {"exp":"must be a number"}`},
		"nbf ahead":                    {``, kid, alice + fmt.Sprintf(`,"nbf":%d`, start.Unix()+1), `401 {"nbf":"token not valid yet"}`},
		"nbf of text":                  {``, kid, alice + `,"nbf":"now"`, `401 {"nbf":"must be a number"}`},
		"iat ahead":                    {``, kid, alice + fmt.Sprintf(`,"iat":%d`, start.Unix()+1), `401 {"iat":"token issued in the future"}`},
		"iat now":                      {``, kid, alice + fmt.Sprintf(`,"iat":%d`, start.Unix()), "accepted id-1 alice alice"},
		"iat is no number":             {``, kid, alice + `,"iat":"now"`, `401 {"iat":"must be a number"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w, token := issuing(t)
			expect(t, w.decide(t, w.engine(t, fmt.Sprintf(issuerConfig, tt.issuer, "")), token(tt.header, tt.claims)), tt.want)
		})
	}
}

// A clock may be ahead by the leeway, and a remembered token is no longer good when it
// is found to be further ahead.
func TestLeewayOfIat(t *testing.T) {
	const alice = "id-1 alice alice"
	w, token := issuing(t)
	e := w.engine(t, fmt.Sprintf(issuerConfig, "", `,"leeway":10`))
	for ahead, want := range map[int64]string{10: "accepted " + alice, 11: `401 {"iat":"token issued in the future"}`} {
		expect(t, w.decide(t, e, token(`,"kid":"k1"`, fmt.Sprintf(`,"sub":"alice","iat":%d`, start.Unix()+ahead))), want)
	}
	early := token(`,"kid":"k1"`, fmt.Sprintf(`,"sub":"alice","jti":"1","iat":%d`, start.Unix()+10))
	expect(t, w.decide(t, e, early), "accepted "+alice)
	expect(t, w.decide(t, e, early), "remembered "+alice)
	w.pass(-time.Second)
	expect(t, w.decide(t, e, early), `401 {"iat":"token issued in the future"}`)
}

// A token without kid is tried with a few keys, and with no more.
func TestFewKeysAreTried(t *testing.T) {
	for others, want := range map[int]string{3: "accepted id-1 alice alice", 4: message(401, "Invalid signature")} {
		w, token := issuing(t)
		own := w.published["https://idp"]
		w.published["https://idp"] = nil
		for range others {
			other, _ := issuing(t)
			w.published["https://idp"] = append(w.published["https://idp"], other.published["https://idp"]...)
		}
		w.published["https://idp"] = append(w.published["https://idp"], own...)
		e := w.engine(t, fmt.Sprintf(issuerConfig, "", ""))
		expect(t, w.decide(t, e, token("", `,"sub":"alice"`)), want)
	}
}

// An issuer of each tenant has keys of its own, and nobody else is trusted.
// claims_to_verify says what a token must have, an issuer's too.
func TestIssuersNbfMustBeThere(t *testing.T) {
	w, token := issuing(t)
	e := w.engine(t, fmt.Sprintf(issuerConfig, "", `,"claims_to_verify":["nbf"]`))
	for claims, want := range map[string]string{
		``:                                     `401 {"nbf":"must be a number"}`,
		fmt.Sprintf(`,"nbf":%d`, start.Unix()): "accepted id-1 alice alice",
	} {
		expect(t, w.decide(t, e, token(`,"kid":"k1"`, `,"sub":"alice"`+claims)), want)
	}
}

func TestIssuersOfTenants(t *testing.T) {
	w, token := issuing(t)
	w.published["https://idp/t1/v2"] = w.published["https://idp"]
	w.published["https://idp/t2/v2"] = nil
	e := w.engine(t, `{"issuers":[{"issuer":"https://idp/{tenant}/v2","tenants":["t1","t2"],"algorithms":["ES256"]}]}`)
	for iss, want := range map[string]string{
		"https://idp/t1/v2":       "accepted id-1 alice alice",
		"https://idp/t2/v2":       message(401, "No key found for the token"),
		"https://idp/t3/v2":       message(401, "No credentials found for given 'iss'"),
		"https://idp/{tenant}/v2": message(401, "No credentials found for given 'iss'"),
		"https://idp/t1/v2/":      message(401, "No credentials found for given 'iss'"),
	} {
		t.Run(iss, func(t *testing.T) {
			expect(t, w.decide(t, e, token(`,"kid":"k1"`, fmt.Sprintf(`,"sub":"alice","iss":%q`, iss))), want)
		})
	}
}

// The keys in the configuration take the place of those that are fetched.
func TestIssuersKeysInTheConfiguration(t *testing.T) {
	w, token := issuing(t)
	w.published["{inline}"], w.published["https://idp"] = w.published["https://idp"], nil
	e := w.engine(t, `{"issuers":[{"issuer":"https://idp","jwks":"{inline}","algorithms":["ES256"]}]}`)
	expect(t, w.decide(t, e, token(`,"kid":"k1"`, `,"sub":"alice"`)), "accepted id-1 alice alice")
}

func TestIssuersKeys(t *testing.T) {
	const kid, alice = `,"kid":"k1"`, `,"sub":"alice"`
	w, token := issuing(t)
	e := w.engine(t, fmt.Sprintf(issuerConfig, "", ""))
	tok := token(kid, alice)
	expect(t, w.decide(t, e, tok), "accepted id-1 alice alice")
	expect(t, w.decide(t, e, tok), "remembered id-1 alice alice")
	w.change(func() {
		w.published["https://idp"][0].Retire()
		w.published["https://idp"] = nil
	})
	expect(t, w.decide(t, e, tok), message(401, "No key found for the token"))
	w.change(func() { w.down = true })
	expect(t, w.decide(t, e, tok), message(503, "The issuer's keys cannot be fetched at the moment"))
}

// A remembered decision asks for its key again when that is due.
func TestKeyIsAskedForAgain(t *testing.T) {
	w, token := issuing(t)
	e := w.engine(t, fmt.Sprintf(issuerConfig, "", ""))
	tok := token(`,"kid":"k1"`, `,"sub":"alice"`)
	expect(t, w.decide(t, e, tok), "accepted id-1 alice alice")
	w.published["https://idp"][0].AskAgain(start.Add(10 * time.Second))
	expect(t, w.decide(t, e, tok), "remembered id-1 alice alice")
	w.pass(10 * time.Second)
	expect(t, w.decide(t, e, tok), "accepted id-1 alice alice")
}

func TestIssuersKeyForAnotherAlgorithm(t *testing.T) {
	w, token := issuing(t)
	w.published["https://idp"][0].Algorithm = "ES384"
	expect(t, w.decide(t, w.engine(t, fmt.Sprintf(issuerConfig, "", "")), token(`,"kid":"k1"`, `,"sub":"alice"`)), message(401, "No key found for the token"))
}

// What is made of a published key for one algorithm is kept, and used for no other.
func TestIssuersKeyForSeveralAlgorithms(t *testing.T) {
	k := makeKeys(t)
	w := newWorld(t)
	w.consumers["alice"] = w.consumers["id-1"]
	w.published = map[string][]*plugin.PublishedKey{"https://idp": {{KeyID: "rsa", Key: k.rsa2048.Public()}, {KeyID: "p384", Key: k.p384.Public()}}}
	e := w.engine(t, `{"issuers":[{"issuer":"https://idp","jwks_uri":"https://idp/keys","algorithms":["RS256","PS256","ES384"]}]}`)
	b64 := base64.RawURLEncoding.EncodeToString
	const accepted, badSignature, unknownKey = "accepted id-1 alice alice", "Invalid signature", "No key found for the token"
	for i, tt := range []struct{ kid, algorithm, signedBy, want string }{
		{"rsa", "RS256", "RS256", accepted},
		{"rsa", "PS256", "PS256", accepted},
		{"rsa", "RS256", "RS256", accepted},
		{"rsa", "PS256", "RS256", message(401, badSignature)},
		{"p384", "ES384", "ES384", accepted},
		{"p384", "ES384", "ES384", accepted},
		{"p384", "RS256", "RS256", message(401, unknownKey)},
		{"rsa", "ES384", "ES384", message(401, unknownKey)},
	} {
		var key any = k.rsa2048
		if tt.signedBy == "ES384" {
			key = k.p384
		}
		signed := b64(fmt.Appendf(nil, `{"alg":%q,"kid":%q}`, tt.algorithm, tt.kid)) + "." +
			b64(fmt.Appendf(nil, `{"iss":"https://idp","sub":"alice","exp":%d,"n":%d}`, start.Unix()+100, i))
		signature, err := jwt.GetSigningMethod(tt.signedBy).Sign(signed, key)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, w.decide(t, e, signed+"."+b64(signature)), tt.want)
	}
}

// A token that only says that it is from the issuer must not be accepted by a
// credential of that key, nor the other way round.
func TestIssuerAndCredentialOfTheSameName(t *testing.T) {
	w, _ := issuing(t)
	w.credentials["https://idp"] = &plugin.Credential{ID: "c", Key: "https://idp", Algorithm: "HS256", Secret: "s", ConsumerID: "id-1"}
	e := w.engine(t, fmt.Sprintf(issuerConfig, "", ""))
	expect(t, w.decide(t, e, sign(`{"alg":"HS256"}`, `{"iss":"https://idp"}`, "s")), message(401, "Invalid algorithm"))
}

func TestPolicy(t *testing.T) {
	scope := message(403, "Insufficient scope")
	role := message(403, "Claim 'realm.role' does not have the required value")
	for name, tt := range map[string]struct{ config, claims, want string }{
		"audience":                     {`"audience_required":["a","b"]`, `"aud":"b"`, accepted},
		"claim not forbidden":          {`"claims_forbidden":["nonce","at_hash"]`, `"x":{"nonce":1}`, accepted},
		"claim forbidden":              {`"claims_forbidden":["nonce","at_hash"]`, `"at_hash":"h"`, `401 {"at_hash":"claim not allowed"}`},
		"claim forbidden, though null": {`"claims_forbidden":["nonce"]`, `"nonce":null`, `401 {"nonce":"claim not allowed"}`},
		"audience missing":             {`"audience_required":["a"]`, `"x":1`, `401 {"aud":"audience not allowed"}`},
		"audience is a number":         {`"audience_required":["1"]`, `"aud":1`, `401 {"aud":"audience not allowed"}`},
		"issuer":                       {`"issuers_allowed":["key"]`, `"x":1`, accepted},
		"issuer not allowed":           {`"issuers_allowed":["other"]`, `"x":1`, `401 {"iss":"issuer not allowed"}`},
		"one of the scopes":            {`"scopes_required":["read write","admin"]`, `"scope":"admin x"`, accepted},
		"scopes together":              {`"scopes_required":["read write","admin"]`, `"scope":["write","read"]`, accepted},
		"half of the scopes together":  {`"scopes_required":["read write","admin"]`, `"scope":"read"`, scope},
		"scope as part of a word":      {`"scopes_required":["read"]`, `"scope":"reader"`, scope},
		"an element without a scope":   {`"scopes_required":["\u00a0"]`, `"scope":"read"`, scope},
		"no scopes":                    {`"scopes_required":["read"]`, `"x":1`, scope},
		"scopes elsewhere":             {`"scopes_required":["read"],"scopes_claim":["a","scp"]`, `"a":{"scp":["read"]}`, accepted},
		"claim equals":                 {`"claims_required":[{"claim":["realm","role"],"value":"admin"}]`, `"realm":{"role":"admin"}`, accepted},
		"claim differs":                {`"claims_required":[{"claim":["realm","role"],"value":"admin"}]`, `"realm":{"role":"Admin"}`, role},
		"claim is a list":              {`"claims_required":[{"claim":["realm","role"],"value":"admin"}]`, `"realm":{"role":["admin"]}`, role},
		"claim missing":                {`"claims_required":[{"claim":["realm","role"],"value":"admin"}]`, `"realm":"role"`, role},
		"claim contains":               {`"claims_required":[{"claim":["realm","role"],"value":"admin","match":"contains"}]`, `"realm":{"role":["x","admin"]}`, accepted},
		"claim is not a list":          {`"claims_required":[{"claim":["realm","role"],"value":"admin","match":"contains"}]`, `"realm":{"role":"admin"}`, role},
		"claim is true":                {`"claims_required":[{"claim":["realm","role"],"value":"true"}]`, `"realm":{"role":true}`, accepted},
		"claim is a number":            {`"claims_required":[{"claim":["realm","role"],"value":"1.50"}]`, `"realm":{"role":1.50}`, accepted},
		"claim is null":                {`"claims_required":[{"claim":["realm","role"],"value":"null"}]`, `"realm":{"role":null}`, role},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			expect(t, w.decide(t, w.engine(t, `{`+tt.config+`}`), w.token(`{"iss":"key",`+tt.claims+`}`)), tt.want)
		})
	}
}

func TestInsufficientScopeIsTold(t *testing.T) {
	w := newWorld(t)
	out := w.decide(t, w.engine(t, `{"scopes_required":["read write","admin"],"realm":"r"}`), w.token(`{"iss":"key"}`))
	if want := `Bearer realm="r", error="insufficient_scope", scope="read write"`; out.Refusal.WWWAuthenticate != want {
		t.Errorf("got %s, want %s", out.Refusal.WWWAuthenticate, want)
	}
}

func TestLeeway(t *testing.T) {
	now := start.Unix()
	for name, tt := range map[string]struct{ claims, want string }{
		"exp within":  {fmt.Sprintf(`"exp":%d,"nbf":%d`, now-4, now), accepted},
		"exp beyond":  {fmt.Sprintf(`"exp":%d,"nbf":%d`, now-5, now), `401 {"exp":"token expired"}`},
		"nbf within":  {fmt.Sprintf(`"exp":%d,"nbf":%d`, now+9, now+5), accepted},
		"nbf beyond":  {fmt.Sprintf(`"exp":%d,"nbf":%d`, now+9, now+6), `401 {"nbf":"token not valid yet"}`},
		"iat is free": {fmt.Sprintf(`"exp":%d,"nbf":%d,"iat":%d`, now+9, now, now+100), accepted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, `{"claims_to_verify":["exp","nbf"],"leeway":5}`)
			expect(t, w.decide(t, e, w.token(`{"iss":"key",`+tt.claims+`}`)), tt.want)
		})
	}
}

func TestClaimsToHeaders(t *testing.T) {
	config := `{"claims_to_headers":[{"header":"X-A","claim":["a","b"]}],"anonymous":"guest","run_on_preflight":false}`
	repeat := `{"claims_to_headers":[{"header":"X-A","claim":["a","b"],"values":"repeat"}]}`
	for name, tt := range map[string]struct{ config, claims, want string }{
		"text":                 {config, `"a":{"b":"x y"}`, accepted + " X-A=x y"},
		"number":               {config, `"a":{"b":1.50}`, accepted + " X-A=1.50"},
		"boolean":              {config, `"a":{"b":false}`, accepted + " X-A=false"},
		"object":               {config, `"a":{"b":{"c":[1]}}`, accepted + ` X-A={"c":[1]}`},
		"null":                 {config, `"a":{"b":null}`, accepted + " X-A="},
		"absent":               {config, `"a":1`, accepted + " X-A="},
		"list":                 {config, `"a":{"b":["x",1,null,true]}`, accepted + " X-A=x,1,true"},
		"list, repeated":       {repeat, `"a":{"b":["x",1]}`, accepted + " X-A=x|1|"},
		"list of one":          {repeat, `"a":{"b":["x,y"]}`, accepted + " X-A=x,y"},
		"empty list":           {config, `"a":{"b":[]}`, accepted + " X-A="},
		"comma in a list":      {config, `"a":{"b":["x,y","100%"]}`, accepted + " X-A=x%2Cy,100%25"},
		"comma in a text":      {config, `"a":{"b":"x,y"}`, accepted + " X-A=x,y"},
		"header injection":     {config, `"a":{"b":"x\r\nX-Evil: 1\u0000\u007f"}`, accepted + " X-A=x%0D%0AX-Evil: 1%00%7F"},
		"injection in a list":  {repeat, `"a":{"b":["x\ny","z"]}`, accepted + " X-A=x%0Ay|z|"},
		"beyond ASCII is kept": {config, `"a":{"b":"ä"}`, accepted + " X-A=ä"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			expect(t, w.decide(t, w.engine(t, tt.config), w.token(`{"iss":"key",`+tt.claims+`}`)), tt.want)
		})
	}
	t.Run("removed for all others", func(t *testing.T) {
		w := newWorld(t)
		e := w.engine(t, config)
		expect(t, w.decide(t, e, ""), anonymous+" X-A=")
		expect(t, e.Decide(t.Context(), &plugin.Request{Method: []byte("OPTIONS")}, w), "unidentified X-A=")
		expect(t, e.Decide(t.Context(), &plugin.Request{HasCredential: true}, w), "aside X-A=")
		expect(t, e.Decide(t.Context(), &plugin.Request{Connection: []byte("x_a")}, w), message(400, "Connection header names an identity header"))
	})
}

func TestGroups(t *testing.T) {
	for claims, want := range map[string]string{
		`"g":["a","b"]`: ` groups=["a" "b"]`,
		`"g":"a"`:       ` groups=["a"]`,
		`"g":[]`:        ` groups=[]`,
		`"x":1`:         ` groups=[]`,
	} {
		w := newWorld(t)
		expect(t, w.decide(t, w.engine(t, `{"groups_claim":["g"]}`), w.token(`{"iss":"key",`+claims+`}`)), accepted+want)
	}
}

func TestAnonymousOn(t *testing.T) {
	for config, want := range map[string][2]string{ // without a token, with a bad one
		`"missing"`:           {anonymous, message(401, "Bad token; invalid JSON")},
		`"invalid"`:           {message(401, "Unauthorized"), anonymous},
		`"missing","invalid"`: {anonymous, anonymous},
	} {
		w := newWorld(t)
		e := w.engine(t, `{"anonymous":"guest","anonymous_on":[`+config+`]}`)
		expect(t, w.decide(t, e, ""), want[0])
		expect(t, w.decide(t, e, "bad"), want[1])
	}
}

func TestShadow(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"shadow":true}`)
	expect(t, w.decide(t, e, w.token(`{"iss":"key"}`)), accepted)
	out := w.decide(t, e, "bad")
	expect(t, out, "unidentified")
	if out.Shadowed == nil || out.Shadowed.Reason != "malformed_token" {
		t.Errorf("got %+v", out.Shadowed)
	}
	expect(t, e.Decide(t.Context(), &plugin.Request{HasCredential: true}, w), "aside")
	w.change(func() { w.down = true })
	expect(t, w.decide(t, e, sign(`{"alg":"HS256"}`, `{"iss":"other"}`, "s")), "unidentified")
}

// TestConsumerMadeLater: that a caller had no consumer is remembered no longer
// than that there is none.
func TestConsumerMadeLater(t *testing.T) {
	w, issued := issuing(t)
	e := w.engine(t, fmt.Sprintf(issuerConfig, `,"consumer_optional":true`, ""))
	token := issued(`,"kid":"k1"`, `,"sub":"bob"`)
	expect(t, w.decide(t, e, token), "accepted bob")
	expect(t, w.decide(t, e, token), "remembered bob")
	w.consumers["bob"] = &plugin.Consumer{ID: "id-9", Username: "bob"}
	w.store.Invalidate()
	expect(t, w.decide(t, e, token), "accepted id-9 bob bob")
}

// What is refused, and let in as nobody, goes on without its token too.
func TestHideCredentialsOfAnonymous(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"hide_credentials":true,"anonymous":"guest","run_on_preflight":false}`)
	r := &plugin.Request{Method: []byte("GET"), Headers: [][]byte{[]byte("Bearer x")}}
	out := e.Decide(t.Context(), r, w)
	expect(t, out, anonymous)
	if out.Hidden == nil || fmt.Sprint(out.Hidden.Headers) != fmt.Sprint([]plugin.Header{{Name: "authorization"}}) {
		t.Errorf("hidden: %v", out.Hidden)
	}
	r.Method = []byte("OPTIONS")
	if out = e.Decide(t.Context(), r, w); out.Hidden != nil {
		t.Errorf("of a preflight request, hidden: %v", out.Hidden)
	}
}

func TestHideCredentials(t *testing.T) {
	w := newWorld(t)
	tok := w.token(`{"iss":"key"}`)
	e := w.engine(t, `{"hide_credentials":true,"cookie_names":["c"],"header_names":["authorization","x-token"]}`)
	for name, tt := range map[string]struct {
		query, cookie string
		headers       [2]string
		wantQuery     string
		want          []plugin.Header
	}{
		"header":             {headers: [2]string{"Bearer " + tok}, want: []plugin.Header{{Name: "authorization"}}},
		"other header":       {headers: [2]string{"Basic x", "bearer  " + tok}, want: []plugin.Header{{Name: "x-token"}}},
		"behind other words": {headers: [2]string{"Basic x, Bearer " + tok}, want: []plugin.Header{{Name: "authorization", Values: []string{"Basic x"}}}},
		"query":              {query: "a=%41&jwt=" + tok + "&b=1&&c", wantQuery: "a=%41&b=1&&c"},
		"query, encoded":     {query: "%6Awt=" + tok + "&b", wantQuery: "b"},
		"query, twice":       {query: "jwt=" + tok + "&x&jwt=" + tok, wantQuery: "x"},
		"cookie":             {cookie: "a=b; C=" + tok + "; d=e", want: []plugin.Header{{Name: "Cookie", Value: "a=b; d=e"}}},
		"first cookie":       {cookie: "c=" + tok + "; d=e", want: []plugin.Header{{Name: "Cookie", Value: "d=e"}}},
		"behind a comma":     {cookie: "a=b, c=" + tok + "; d=e", want: []plugin.Header{{Name: "Cookie", Value: "a=b; d=e"}}},
		"only cookie":        {cookie: "c=" + tok, want: []plugin.Header{{Name: "Cookie"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &plugin.Request{Query: []byte(tt.query), Cookie: []byte(tt.cookie), Headers: [][]byte{[]byte(tt.headers[0]), []byte(tt.headers[1])}}
			out := e.Decide(t.Context(), r, w)
			if out.Refusal != nil {
				t.Fatal(verdict(out))
			}
			query := ""
			if out.Hidden.Query != nil {
				query = *out.Hidden.Query
			}
			if query != tt.wantQuery || fmt.Sprint(out.Hidden.Headers) != fmt.Sprint(tt.want) {
				t.Errorf("got %q, %v; want %q, %v", query, out.Hidden.Headers, tt.wantQuery, tt.want)
			}
		})
	}
}

func TestDecideNow(t *testing.T) {
	w, issued := issuing(t)
	e := w.engine(t, fmt.Sprintf(issuerConfig, "", ""))
	now := func(token string) string {
		out, decided := e.DecideNow(&plugin.Request{Headers: [][]byte{[]byte("Bearer " + token)}})
		if !decided {
			return "must wait"
		}
		return verdict(out)
	}
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	symmetric, asymmetric := w.token(`{"iss":"key"}`), issued(`,"kid":"k1"`, `,"sub":"alice"`)
	check(now("bad"), message(401, "Bad token; invalid JSON"))
	check(now(symmetric), "must wait")
	check(now(asymmetric), "must wait")
	expect(t, w.decide(t, e, symmetric), accepted)
	expect(t, w.decide(t, e, asymmetric), "accepted id-1 alice alice")
	check(now(symmetric), cached)
	check(now(w.token(`{"iss":"key","n":2}`)), accepted) // all known, and quick
	check(now(asymmetric), "remembered id-1 alice alice")
	check(now(issued(`,"kid":"k1"`, `,"sub":"alice","n":2`)), "must wait") // slow
	w.credentials["slow"] = &plugin.Credential{
		ID: "cred-2", Key: "slow", Algorithm: "ES256", PublicKey: pkixPEM(t, w.published["https://idp"][0].Key), ConsumerID: "id-1",
	}
	slow := issued("", `,"iss":"slow"`) // the last iss counts
	expect(t, w.decide(t, e, slow), "accepted id-1 alice slow")
	check(now(slow), "remembered id-1 alice slow")
	check(now(issued("", `,"iss":"slow","n":2`)), "must wait")
	check(now(strings.Repeat("x", 3<<10)), message(401, "Bad token; invalid JSON"))
	check(now(strings.Repeat("x", 3<<10+1)), "must wait") // long, whatever is in it
	long := w.token(`{"iss":"key","n":"` + strings.Repeat("x", 3<<10) + `"}`)
	check(now(long), "must wait")
	expect(t, w.decide(t, e, long), accepted)
	check(now(long), cached)
	w.pass(ttl + time.Second)
	check(now(symmetric), "must wait")
}
