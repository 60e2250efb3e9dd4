package spec_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/spec/conformance"
)

// Attacks by name, each with where it was described: a section of RFC 8725
// (JSON Web Token Best Current Practices) or a CVE of some other library.

// attack is a token, and what must come of it.
type attack struct {
	name  string
	token string
	// refusal is the message of a 401; "": the token must be accepted, and be
	// that of consumer.
	refusal, consumer string
}

// What attackers are told.
const (
	badSignature  = "Invalid signature"
	badAlgorithm  = "Invalid algorithm"
	unknownAlg    = "Bad token; invalid alg"
	notJSON       = "Bad token; invalid JSON"
	unknownCrit   = "Bad token; unsupported crit"
	nobodysKey    = "No credentials found for given 'iss'"
	badPublicKey  = "Invalid key/secret"
	severalTokens = "Multiple tokens provided"
)

// repel sends each token twice: what was refused is refused again.
func (g *gateway) repel(t *testing.T, route string, attacks []attack) {
	t.Helper()
	for _, at := range attacks {
		t.Run(at.name, func(t *testing.T) {
			for range 2 {
				a := g.send(t, "GET", route, [2]string{"Authorization", "Bearer " + at.token})
				if at.refusal == "" {
					if a.status != 200 || username(a) != at.consumer {
						t.Errorf("%d %s, want it accepted as %q", a.status, a.body, at.consumer)
					}
					continue
				}
				refusedWith(t, a, 401, at.refusal)
			}
		})
	}
}

func refusedWith(t *testing.T, a answer, status int, message string) {
	t.Helper()
	var body struct{ Message string }
	if err := json.Unmarshal(a.body, &body); err != nil || a.status != status || body.Message != message || a.upstream != nil {
		t.Errorf("%d %s, want %d %q", a.status, a.body, status, message)
	}
}

// forge makes a token of a header and claims as they are written, signed with
// the algorithm and key.
func forge(t *testing.T, keys conformance.Keys, header, claims, alg, key string) string {
	t.Helper()
	token, err := conformance.Token{RawHeader: header, RawClaims: claims, Alg: alg, Key: key}.Make(keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// TestAlgorithmConfusion has HS256 tokens signed with what everybody knows, a
// public key, and algorithms of the same key swapped (RFC 8725 sections 2.1 and
// 3.1; CVE-2015-9235, CVE-2016-10555, CVE-2022-29217, CVE-2023-48238,
// CVE-2024-54150).
func TestAlgorithmConfusion(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		var attacks []attack
		add := func(name, header, iss, alg, key, refusal string) {
			attacks = append(attacks, attack{name, forge(t, setup.keys, header, `{"iss":"`+iss+`"}`, alg, key), refusal, ""})
		}
		for iss, key := range map[string]string{
			"rs256": "rsa-a", "ps256": "rsa-a", "es256": "p256", "es384": "p384", "es512": "p521", "eddsa": "ed25519", "ed448": "ed448",
		} {
			text := setup.keys[key].PublicPEM()
			block, _ := pem.Decode([]byte(text))
			for form, secret := range map[string]string{
				"PEM": text, "PEM without its last newline": strings.TrimSuffix(text, "\n"),
				"PEM with CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "DER": string(block.Bytes),
				"base64": base64.StdEncoding.EncodeToString(block.Bytes),
			} {
				for _, alg := range []string{"HS256", "HS384", "HS512"} {
					add(fmt.Sprintf("%s: %s with the public key as %s", iss, alg, form), `{"alg":"`+alg+`"}`, iss, alg, "literal:"+secret, badAlgorithm)
				}
			}
		}
		add("RS256 with a credential of PS256", `{"alg":"RS256"}`, "ps256", "RS256", "rsa-a", badAlgorithm)
		add("PS256 with a credential of RS256", `{"alg":"PS256"}`, "rs256", "PS256", "rsa-a", badAlgorithm)
		add("RS512 with a credential of RS256", `{"alg":"RS512"}`, "rs256", "RS512", "rsa-a", badAlgorithm)
		add("HS512 with a credential of HS256", `{"alg":"HS512"}`, "hs256", "HS512", "hs-a", badAlgorithm)
		add("RS256 with a credential of HS256", `{"alg":"RS256"}`, "hs256", "RS256", "rsa-a", badAlgorithm)
		add("said to be RS256, signed PS256", `{"alg":"RS256"}`, "rs256", "PS256", "rsa-a", badSignature)
		add("said to be HS256, signed HS512", `{"alg":"HS256"}`, "hs256", "HS512", "hs-a", badSignature)
		add("ES256K", `{"alg":"ES256K"}`, "es256", "ES256", "p256", unknownAlg)
		specGateway(t, way...).repel(t, "/plain", attacks)
	})
}

// TestAlgNone has tokens without a signature (RFC 8725 section 2.1;
// CVE-2015-9235, CVE-2018-1000531, CVE-2020-28042).
func TestAlgNone(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		var attacks []attack
		for _, alg := range []string{
			`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `"none "`, `" none"`, `"none\u0000"`, `"n\u006fne"`, `""`, `"null"`, `null`,
			`false`, `0`, `[]`, `["none"]`, `["HS256"]`, `{"HS256":1}`, `"hs256"`, `"HS256 "`, `"HS0"`, `"HS1"`, `"SHA256"`,
		} {
			header := `{"alg":` + alg + `,"typ":"JWT"}`
			input := encode(header) + "." + encode(`{"iss":"hs256"}`)
			attacks = append(attacks,
				attack{alg + " without a signature", input + ".", unknownAlg, ""},
				attack{alg + " without the last part", input, notJSON, ""},
				attack{alg + " with a signature", forge(t, setup.keys, header, `{"iss":"hs256"}`, "HS256", "hs-a"), unknownAlg, ""})
		}
		missing := forge(t, setup.keys, `{"typ":"JWT"}`, `{"iss":"hs256"}`, "HS256", "hs-a")
		attacks = append(attacks, attack{"no alg", missing, unknownAlg, ""})
		for iss, alg := range map[string]string{"hs256": "HS256", "rs256": "RS256", "es256": "ES256", "eddsa": "EdDSA"} {
			stripped := encode(`{"alg":"`+alg+`"}`) + "." + encode(`{"iss":"`+iss+`"}`)
			attacks = append(attacks,
				attack{alg + " stripped", stripped + ".", badSignature, ""},
				attack{alg + " stripped, with the dot", stripped, notJSON, ""})
		}
		specGateway(t, way...).repel(t, "/plain", attacks)
	})
}

// TestKeysInTheHeader has tokens that bring their key along, or say where it is
// (RFC 8725 section 3.10; CVE-2018-0114).
func TestKeysInTheHeader(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		var fetched atomic.Int64
		attacker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
		defer attacker.Close()
		b64 := base64.RawURLEncoding
		public := setup.keys["rsa-b"].RSA.PublicKey
		jwk := fmt.Sprintf(`{"kty":"RSA","kid":"rs256","use":"sig","alg":"RS256","n":%q,"e":"AQAB"}`, b64.EncodeToString(public.N.Bytes()))
		block, _ := pem.Decode([]byte(setup.keys["rsa-b"].PublicPEM()))
		der := base64.StdEncoding.EncodeToString(block.Bytes)
		symmetric := `{"kty":"oct","k":"` + encode("attacker") + `"}`
		var attacks []attack
		for name, field := range map[string]string{
			"jwk":         `"jwk":` + jwk,
			"jwk and kid": `"kid":"rs256","jwk":` + jwk,
			"jku":         `"jku":"` + attacker.URL + `/jwks.json"`,
			"x5u":         `"x5u":"` + attacker.URL + `/cert.pem"`,
			"x5c":         `"x5c":["` + der + `"]`,
			"x5t":         `"x5t":"` + encode("any") + `"`,
			"jku as file": `"jku":"file:///dev/stdin"`,
			"all":         `"jwk":` + jwk + `,"jku":"` + attacker.URL + `","x5u":"` + attacker.URL + `","x5c":["` + der + `"]`,
		} {
			attacks = append(attacks,
				attack{name, forge(t, setup.keys, `{"alg":"RS256",`+field+`}`, `{"iss":"rs256"}`, "RS256", "rsa-b"), badSignature, ""},
				attack{name + " beside the true key", forge(t, setup.keys, `{"alg":"RS256",`+field+`}`, `{"iss":"rs256"}`, "RS256", "rsa-a"), "", "bob"})
		}
		attacks = append(attacks, attack{
			"jwk of a secret", forge(t, setup.keys, `{"alg":"HS256","jwk":`+symmetric+`}`, `{"iss":"hs256"}`, "HS256", "literal:attacker"), badSignature, "",
		})
		specGateway(t, way...).repel(t, "/plain", attacks)
		if n := fetched.Load(); n != 0 {
			t.Errorf("the attacker's server was asked %d times", n)
		}
	})
}

// TestKidInjection has kid point at files, tables and other paths (RFC 8725
// section 3.10). A kid is a key to look up, and nothing more.
func TestKidInjection(t *testing.T) {
	needsAdminLookups(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	addRoute(config, "/kid", object{"key_claim_name": "kid"})
	g := startGateway(t, config)
	var attacks []attack
	kids := []string{
		"/dev/null", "../../../../../../dev/null", "file:///dev/null", "../consumers/alice", "..%2fconsumers%2falice", "%2e%2e/status",
		"' UNION SELECT 'attacker' -- ", "hs256'--", `hs256" OR "1"="1`, "x' OR '1'='1", "|id", "$(id)", "`id`", "; sleep 5",
		"hs256\x00", "hs256\n", " hs256", "hs256 ", "HS256", "hs256/", "hs256?", "hs256#", "?size=1000", "hs256;", "hs256/../rs256", "*", "hs%", "hs25_",
		"{vault://env/path}", strings.Repeat("k", 3000),
	}
	for _, kid := range kids {
		header, err := json.Marshal(object{"alg": "HS256", "kid": kid})
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"", "attacker"} {
			token := forge(t, setup.keys, string(header), `{}`, "HS256", "literal:"+secret)
			attacks = append(attacks, attack{fmt.Sprintf("%.40q signed with %q", kid, secret), token, "No credentials found for given 'kid'", ""})
		}
	}
	for kid, refusal := range map[string]string{
		`["hs256"]`: "Invalid 'kid' in claims", `{"a":1}`: "Invalid 'kid' in claims", `1`: "Invalid 'kid' in claims", `""`: "Invalid 'kid' in claims",
		`null`: "No mandatory 'kid' in claims", `"hs256"`: badSignature,
	} {
		attacks = append(attacks, attack{kid, forge(t, setup.keys, `{"alg":"HS256","kid":`+kid+`}`, `{}`, "HS256", "literal:attacker"), refusal, ""})
	}
	g.repel(t, "/kid", attacks)
	var stats struct{ Admin map[string]int }
	g.get(t, "/__stats", &stats)
	for path := range stats.Admin {
		segment, ofKey := strings.CutPrefix(path, "/jwts/")
		key, err := url.PathUnescape(segment)
		switch {
		case path == "/status":
		case path == "/jwts" && hasConfigurations(): // which are listed
		case ofKey && err == nil && !strings.Contains(segment, "/") && slices.Contains(append(kids, "hs256"), key):
		default:
			t.Errorf("the Admin API was asked for %s", path)
		}
	}
}

// TestCrit has extensions that must be understood, or the token refused
// (RFC 7515 section 4.1.11; CVE-2025-59420), among them the unencoded payload of
// RFC 7797.
func TestCrit(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		var attacks []attack
		for _, header := range []string{
			`{"alg":"HS256","crit":["exp"],"exp":4102444800}`,
			`{"alg":"HS256","crit":["b64"],"b64":false}`,
			`{"alg":"HS256","crit":["b64"],"b64":true}`,
			`{"alg":"HS256","crit":["http://example.com/UNDEFINED"],"http://example.com/UNDEFINED":true}`,
			`{"alg":"HS256","crit":["alg"]}`, `{"alg":"HS256","crit":[]}`, `{"alg":"HS256","crit":null}`, `{"alg":"HS256","crit":"exp"}`,
			`{"crit":["cnf"],"alg":"HS256","cnf":{"jkt":"x"}}`,
		} {
			attacks = append(attacks, attack{header, forge(t, setup.keys, header, `{"iss":"hs256"}`, "HS256", "hs-a"), unknownCrit, ""})
		}
		attacks = append(attacks, attack{"CRIT is not crit", forge(t, setup.keys, `{"alg":"HS256","CRIT":["x"]}`, `{"iss":"hs256"}`, "HS256", "hs-a"), "", "alice"})
		specGateway(t, way...).repel(t, "/plain", attacks)
	})
}

// TestPsychicSignatures has ECDSA signatures that broken verifiers take for any
// message: r or s zero, or the curve's order (CVE-2022-21449), and signatures of
// a wrong length or encoding (CVE-2024-42459, CVE-2024-42461); for EdDSA, S beyond
// the group's order (RFC 8032 section 5.1.7, CVE-2024-48949).
func TestPsychicSignatures(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		var attacks []attack
		for iss, key := range map[string]string{"es256": "p256", "es384": "p384", "es512": "p521"} {
			curve := setup.keys[key].EC.Curve.Params()
			size := (curve.BitSize + 7) / 8
			alg := strings.ToUpper(iss)
			good := forge(t, setup.keys, `{"alg":"`+alg+`"}`, `{"iss":"`+iss+`"}`, alg, key)
			input := good[:strings.LastIndexByte(good, '.')]
			add := func(name string, signature []byte) {
				attacks = append(attacks, attack{alg + " " + name, input + "." + encode(string(signature)), badSignature, ""})
			}
			number := func(n *big.Int) []byte { return n.FillBytes(make([]byte, size)) }
			zero, one := number(new(big.Int)), number(big.NewInt(1))
			order, less := number(curve.N), number(new(big.Int).Sub(curve.N, big.NewInt(1)))
			for name, pair := range map[string][2][]byte{
				"r and s zero": {zero, zero}, "r zero": {zero, one}, "s zero": {one, zero}, "r and s one": {one, one},
				"r and s the order": {order, order}, "r zero, s the order": {zero, order}, "r and s the order less one": {less, less},
			} {
				add(name, append(pair[0][:size:size], pair[1]...))
			}
			signature, err := base64.RawURLEncoding.DecodeString(good[len(input)+1:])
			if err != nil {
				t.Fatal(err)
			}
			r, s := signature[:size:size], signature[size:]
			add("one byte less", signature[:2*size-1])
			add("one byte more", append(signature[:2*size:2*size], 0))
			add("oversized numbers", append(append([]byte{0}, r...), append([]byte{0}, s...)...))
			add("twice", append(signature[:2*size:2*size], signature...))
			add("r alone", r)
			add("very long", make([]byte, 3000))
			add("r plus the order", append(new(big.Int).Add(new(big.Int).SetBytes(r), curve.N).Bytes(), s...))
			add("DER of zeros", []byte{0x30, 6, 2, 1, 0, 2, 1, 0})
			der, err := conformance.Token{Alg: alg, Key: key, Claims: object{"iss": iss}, Mutate: "der-sig"}.Make(setup.keys)
			if err != nil {
				t.Fatal(err)
			}
			attacks = append(attacks, attack{alg + " as DER", der, badSignature, ""})
		}
		good := forge(t, setup.keys, `{"alg":"EdDSA"}`, `{"iss":"eddsa"}`, "EdDSA", "ed25519")
		input := good[:strings.LastIndexByte(good, '.')]
		signature, err := base64.RawURLEncoding.DecodeString(good[len(input)+1:])
		if err != nil {
			t.Fatal(err)
		}
		// S + L, little-endian.
		order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
		backwards := func(b []byte) []byte {
			out := make([]byte, len(b))
			for i := range b {
				out[len(b)-1-i] = b[i]
			}
			return out
		}
		s := new(big.Int).Add(new(big.Int).SetBytes(backwards(signature[32:])), order)
		attacks = append(attacks,
			attack{"EdDSA S plus the order", input + "." + encode(string(append(signature[:32:32], backwards(s.FillBytes(make([]byte, 32)))...))), badSignature, ""},
			attack{"EdDSA zeros", input + "." + encode(string(make([]byte, 64))), badSignature, ""},
			attack{"EdDSA with Ed448's length", input + "." + encode(string(make([]byte, 114))), badSignature, ""},
			attack{"RS256 zeros", encode(`{"alg":"RS256"}`) + "." + encode(`{"iss":"rs256"}`) + "." + encode(string(make([]byte, 256))), badSignature, ""},
			attack{"RS256 one", encode(`{"alg":"RS256"}`) + "." + encode(`{"iss":"rs256"}`) + "." + encode(string(append(make([]byte, 255), 1))), badSignature, ""})
		specGateway(t, way...).repel(t, "/plain", attacks)
	})
}

// TestSmallRSAKeys: RSA keys below 2048 bits are refused, rightly signed or not
// (RFC 7518 sections 3.3 and 3.5, RFC 8725 section 3.2).
func TestSmallRSAKeys(t *testing.T) {
	needsLookups(t)
	t.Parallel()
	keys := maps.Clone(setup.keys)
	config := copyConfig(t, specConfig(t))
	bob := consumer(t, config, conformance.Bob)
	var attacks []attack
	for _, bits := range []int{1024, 2047} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("small-", bits)
		keys[name] = &conformance.Key{RSA: k}
		der, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		for _, alg := range []string{"RS256", "PS256"} {
			key := name + alg
			bob["jwt_secrets"] = append(list(bob["jwt_secrets"]), object{"key": key, "algorithm": alg, "rsa_public_key": public})
			attacks = append(attacks, attack{key, forge(t, keys, `{"alg":"`+alg+`"}`, `{"iss":"`+key+`"}`, alg, name), badPublicKey, ""})
		}
	}
	addRoute(config, "/lenient", object{"allow_weak_rsa_keys": true})
	g := startGateway(t, config)
	g.repel(t, "/plain", attacks)
	for _, a := range attacks {
		if got := g.send(t, "GET", "/lenient", bearer(a.token)); username(got) != "bob" {
			t.Errorf("%s, allowed: %d %s", a.name, got.status, got.body)
		}
	}
	const told = "credential cannot be used"
	if n := strings.Count(g.prints(t, told, len(attacks)), told); n != len(attacks) {
		t.Errorf("told of %d credentials, want %d", n, len(attacks))
	}
}

// TestWeakSecrets: an HMAC secret shorter than the hash can be guessed offline
// (RFC 7518 section 3.2, RFC 8725 section 3.5; CVE-2025-45768, CVE-2025-45769).
// It goes on working, as on the bundled plugin, and is told of once.
func TestWeakSecrets(t *testing.T) {
	needsLookups(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	alice := consumer(t, config, conformance.Alice)
	const id = "5ec5e700-0000-4000-8000-000000000001"
	alice["jwt_secrets"] = append(list(alice["jwt_secrets"]), object{"id": id, "key": "weak", "secret": "hunter2-hunter2"})
	g := startGateway(t, config, "-workers", "2")
	weak := tokenOf(t, "weak", "literal:hunter2-hunter2", "HS256")
	strong := tokenOf(t, "hs256", "hs-a", "HS256")
	for range 6 {
		for _, token := range []string{weak, strong} {
			if a := g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + token}); username(a) != "alice" {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
	}
	var told []string
	for line := range strings.Lines(g.prints(t, "RFC 7518", 1)) {
		if strings.Contains(line, "RFC 7518") {
			told = append(told, line)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "credential="+id) || strings.Contains(told[0], "hunter2") {
		t.Errorf("told %q, want one line that names the credential alone", told)
	}
}

// TestOddJSON has names twice or in another case, which parsers read
// differently (RFC 7515 section 4, RFC 7519 section 4, RFC 8725 section 3.7;
// CVE-2017-12635). Here the last of a name counts, everywhere,
// and case matters.
func TestOddJSON(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		signed := func(header, claims string) string { return forge(t, setup.keys, header, claims, "HS256", "hs-a") }
		const hs, iss = `{"alg":"HS256"}`, `{"iss":"hs256"}`
		specGateway(t, way...).repel(t, "/plain", []attack{
			{"alg twice, none last", signed(`{"alg":"HS256","alg":"none"}`, iss), unknownAlg, ""},
			{"alg twice, none first", signed(`{"alg":"none","alg":"HS256"}`, iss), "", "alice"},
			{"alg twice, RS256 last", signed(`{"alg":"HS256","alg":"RS256"}`, iss), badAlgorithm, ""},
			{"Alg beside alg", signed(`{"alg":"HS256","Alg":"none","ALG":"none"}`, iss), "", "alice"},
			{"Alg alone", signed(`{"Alg":"HS256"}`, iss), unknownAlg, ""},
			{"alg escaped", signed(`{"\u0061lg":"HS256"}`, iss), "", "alice"},
			{"iss twice, ours last", signed(hs, `{"iss":"nobody","iss":"hs256"}`), "", "alice"},
			{"iss twice, ours first", signed(hs, `{"iss":"hs256","iss":"nobody"}`), nobodysKey, ""},
			{"iss twice, null last", signed(hs, `{"iss":"hs256","iss":null}`), "No mandatory 'iss' in claims", ""},
			{"ISS beside iss", signed(hs, `{"iss":"nobody","ISS":"hs256","Iss":"hs256"}`), nobodysKey, ""},
			{"ISS alone", signed(hs, `{"ISS":"hs256"}`), "No mandatory 'iss' in claims", ""},
			{"iss with the Kelvin sign's kin", signed(hs, `{"iſſ":"hs256"}`), "No mandatory 'iss' in claims", ""},
			{"iss in the header only", signed(`{"alg":"HS256","iss":"hs256"}`, `{}`), "", "alice"},
			{"iss in both, ours in the header", signed(`{"alg":"HS256","iss":"hs256"}`, `{"iss":"nobody"}`), nobodysKey, ""},
			{"a second value behind", signed(hs, iss+`{"iss":"rs256"}`), notJSON, ""},
			{"NUL behind", signed(hs, iss+"\x00"), notJSON, ""},
			{"a byte order mark", signed(hs, "\xef\xbb\xbf"+iss), notJSON, ""},
			{"a comment", signed(hs, `{"iss":"hs256"/**/}`), notJSON, ""},
			{"a comma too many", signed(hs, `{"iss":"hs256",}`), notJSON, ""},
			{"claims are a list", signed(hs, `["hs256"]`), "Bad token; invalid claims", ""},
			{"claims are null", signed(hs, `null`), "Bad token; invalid claims", ""},
			{"claims are a text", signed(hs, `"hs256"`), "Bad token; invalid claims", ""},
			{"header is a list", signed(`["HS256"]`, iss), unknownAlg, ""},
			{"NaN", signed(hs, `{"iss":"hs256","exp":NaN}`), notJSON, ""},
			{"__proto__", signed(hs, `{"__proto__":{"iss":"hs256"},"iss":"nobody"}`), nobodysKey, ""},
		})
	})
}

// TestHugeTokens has tokens that cost memory or time: thousands of dots
// (CVE-2025-30204, CVE-2025-27144), deep nesting, JSON that grows. Each is decided
// soon.
func TestHugeTokens(t *testing.T) {
	t.Parallel()
	const room = 7600 // what nginx lets a header line be, less some
	signed := func(claims string) string {
		return forge(t, setup.keys, `{"alg":"HS256"}`, claims, "HS256", "hs-a")
	}
	deep := func(n int) string {
		return `{"iss":"hs256","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	g := specGateway(t)
	started := time.Now()
	g.repel(t, "/plain", []attack{
		{"dots", strings.Repeat(".", room), notJSON, ""},
		{"dots behind a token", tokenOf(t, "hs256", "hs-a", "HS256") + strings.Repeat(".", room-500), "Bad token; invalid signature", ""},
		{"one part", strings.Repeat("A", room), notJSON, ""},
		{"nested 999 deep", signed(deep(999)), "", "alice"},
		{"nested 1000 deep", signed(deep(1000)), notJSON, ""},
		{"nested 2500 deep", signed(deep(2500)), notJSON, ""},
		{"nested and unclosed", encode(`{"alg":"HS256"}`) + "." + encode(strings.Repeat("[", 5000)) + ".", notJSON, ""},
		{"nested objects", signed(strings.Repeat(`{"a":`, 900) + "1" + strings.Repeat("}", 900)), "No mandatory 'iss' in claims", ""},
		{"many names", signed(`{` + strings.Repeat(`"a":1,`, 800) + `"iss":"hs256"}`), "", "alice"},
		{"a long number", signed(`{"iss":"hs256","n":` + strings.Repeat("9", 4000) + `}`), "", "alice"},
		{"a long exponent", signed(`{"iss":"hs256","n":1e` + strings.Repeat("9", 4000) + `}`), "", "alice"},
		{"a long iss", signed(`{"iss":"` + strings.Repeat("i", 5000) + `"}`), nobodysKey, ""},
		{"a long iss to be escaped", signed(`{"iss":"` + strings.Repeat("é/", 1500) + `"}`), nobodysKey, ""},
		{"a long signature", encode(`{"alg":"HS256"}`) + "." + encode(`{"iss":"hs256"}`) + "." + strings.Repeat("A", 7000), badSignature, ""},
	})
	if took := time.Since(started); took > patience {
		t.Errorf("this took %v", took)
	}
	// In the query, and beyond what nginx takes.
	a := g.send(t, "GET", "/plain?jwt="+strings.Repeat(".", room))
	refusedWith(t, a, 401, notJSON)
	for _, send := range []func() answer{
		func() answer { return g.send(t, "GET", "/plain?jwt="+strings.Repeat("a", 9000)) },
		func() answer {
			return g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + strings.Repeat("a", 9000)})
		},
	} {
		if a := send(); a.status != 414 && a.status != 400 && a.status != 494 || a.upstream != nil {
			t.Errorf("beyond nginx's bounds: %d %.200s", a.status, a.body)
		}
	}
}

// TestTimesOutOfRange has exp and nbf where arithmetic overflows (RFC 7519
// section 2, NumericDate).
func TestTimesOutOfRange(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	addRoute(config, "/exp", object{"claims_to_verify": []any{"exp"}})
	addRoute(config, "/nbf", object{"claims_to_verify": []any{"nbf"}})
	addRoute(config, "/max", object{"claims_to_verify": []any{"exp"}, "maximum_expiration": 3600})
	g := startGateway(t, config)
	const (
		ok, expired, early  = "", "token expired", "token not valid yet"
		number, exceedsMost = "must be a number", "exceeds maximum allowed expiration"
	)
	for _, tt := range []struct{ value, exp, nbf, max string }{
		{"9223372036854775807", ok, early, exceedsMost},
		{"9223372036854775808", ok, early, exceedsMost},
		{"18446744073709551616", ok, early, exceedsMost},
		{"9007199254740993", ok, early, exceedsMost},
		{"1e308", ok, early, exceedsMost},
		{"1e400", ok, early, exceedsMost},
		{"1" + strings.Repeat("0", 400), ok, early, exceedsMost},
		{"-1", expired, ok, expired},
		{"-0", expired, ok, expired},
		{"0", expired, ok, expired},
		{"-1e400", expired, ok, expired},
		{"-9223372036854775809", expired, ok, expired},
		{"1e-400", expired, ok, expired},
		{"4102444800.5", ok, early, exceedsMost},
		{`"4102444800"`, number, number, number},
		{`""`, number, number, number},
		{`[4102444800]`, number, number, number},
		{`{}`, number, number, number},
		{`true`, number, number, number},
		{`null`, number, number, number},
	} {
		for route, want := range map[string]string{"/exp": tt.exp, "/nbf": tt.nbf, "/max": tt.max} {
			claim := "exp"
			if route == "/nbf" {
				claim = "nbf"
			}
			t.Run(fmt.Sprintf("%s/%.30s", route[1:], tt.value), func(t *testing.T) {
				token := forge(t, setup.keys, `{"alg":"HS256"}`, `{"iss":"hs256","`+claim+`":`+tt.value+`}`, "HS256", "hs-a")
				for range 2 { // the second time it may be remembered
					a := g.send(t, "GET", route, [2]string{"Authorization", "Bearer " + token})
					if want == ok {
						if a.status != 200 {
							t.Errorf("%d %s, want 200", a.status, a.body)
						}
						continue
					}
					var faults map[string]string
					if err := json.Unmarshal(a.body, &faults); err != nil || a.status != 401 || len(faults) != 1 || faults[claim] != want || a.upstream != nil {
						t.Errorf("%d %s, want 401 %q", a.status, a.body, want)
					}
				}
			})
		}
	}
}

// TestOneTokenManyRoutes: what one configuration has accepted must not be taken
// for decided under another (RFC 8725 sections 3.8, 3.9 and 3.12). The same token
// goes to every route, each way round, again and again.
func TestOneTokenManyRoutes(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	claims := object{
		"iss": "hs256", "key": "rs256", "exp": time.Now().Add(time.Hour).Unix(), "aud": []any{"a", "b"}, "scope": "read write", "role": "user",
	}
	token, err := conformance.Token{Alg: "HS256", Key: "hs-a", Claims: claims}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	inline := func(secret string) object {
		return object{"credentials": []any{object{"key": "hs256", "secret": secret, "consumer": "carol"}}}
	}
	routes := []struct {
		config object
		status int
		who    string
	}{
		{object{}, 200, "alice"},
		{object{"realm": "other"}, 200, "alice"},
		{object{"key_claim_name": "key"}, 401, ""},
		{object{"key_claim_name": "missing"}, 401, ""},
		{object{"claims_to_verify": []any{"exp"}}, 200, "alice"},
		{object{"claims_to_verify": []any{"nbf"}}, 401, ""},
		{object{"claims_to_verify": []any{"exp"}, "maximum_expiration": 60}, 401, ""},
		{object{"secret_is_base64": true}, 401, ""},
		{inline(string(setup.keys["hs-a"].Secret)), 200, "carol"},
		{inline("another secret that is at least 32 bytes long"), 401, ""},
		{object{"audience_required": []any{"a"}}, 200, "alice"},
		{object{"audience_required": []any{"c"}}, 401, ""},
		{object{"issuers_allowed": []any{"hs256"}}, 200, "alice"},
		{object{"issuers_allowed": []any{"rs256"}}, 401, ""},
		{object{"scopes_required": []any{"read"}}, 200, "alice"},
		{object{"scopes_required": []any{"admin"}}, 403, ""},
		{object{"claims_required": []any{object{"claim": []any{"role"}, "value": "user"}}}, 200, "alice"},
		{object{"claims_required": []any{object{"claim": []any{"role"}, "value": "admin"}}}, 403, ""},
		{object{"header_names": []any{}}, 401, ""},
		{object{"anonymous": conformance.Anonymous, "audience_required": []any{"c"}}, 200, "anonymous-user"},
		{object{"anonymous": conformance.Anonymous}, 200, "alice"},
	}
	for i, r := range routes {
		addRoute(config, fmt.Sprint("/many", i), r.config)
	}
	g := startGateway(t, config, "-workers", "2")
	for pass := range 4 {
		for i := range routes {
			if pass%2 == 1 {
				i = len(routes) - 1 - i
			}
			a := g.send(t, "GET", fmt.Sprint("/many", i), [2]string{"Authorization", "Bearer " + token})
			if r := routes[i]; a.status != r.status || username(a) != r.who {
				t.Errorf("pass %d, %v: %d %q, want %d %q (%s)", pass, r.config, a.status, username(a), r.status, r.who, a.body)
			}
		}
	}
}

// TestHeaderInjection: a claim that goes into a header stays within that
// header's line, and within its element of a list (RFC 8725 section 3.10,
// CWE-113).
func TestHeaderInjection(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		config := copyConfig(t, specConfig(t))
		addRoute(config, "/claims", object{"claims_to_headers": []any{
			object{"header": "X-Sub", "claim": []any{"sub"}},
			object{"header": "X-Roles", "claim": []any{"roles"}},
			object{"header": "X-Each", "claim": []any{"roles"}, "values": "repeat"},
		}})
		g := startGateway(t, config, way...)
		evil := "me\r\nX-Consumer-Username: root\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
		for _, tt := range []struct {
			name   string
			claims object
			sub    string
			roles  string
			each   []string
		}{
			{"CR LF", object{"sub": evil}, "me%0D%0AX-Consumer-Username: root%0D%0A%0D%0AGET /admin HTTP/1.1%0D%0AHost: x%0D%0A%0D%0A", "", nil},
			{"LF", object{"sub": "me\nX-Sub: root"}, "me%0AX-Sub: root", "", nil},
			{"NUL", object{"sub": "me\x00root"}, "me%00root", "", nil},
			{"in a list", object{"roles": []any{"a\r\nX-Sub: root", "b,admin", "c%2Cadmin"}}, "", "a%0D%0AX-Sub: root,b%2Cadmin,c%252Cadmin", []string{"a%0D%0AX-Sub: root", "b,admin", "c%2Cadmin"}},
			{"in an object", object{"sub": object{"a\r\nX-Sub: root": 1}}, `{"a\r\nX-Sub: root":1}`, "", nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				tt.claims["iss"] = "hs256"
				token, err := conformance.Token{Alg: "HS256", Key: "hs-a", Claims: tt.claims}.Make(setup.keys)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					a := g.send(t, "GET", "/claims", [2]string{"Authorization", "Bearer " + token},
						[2]string{"X-Sub", "forged"}, [2]string{"X_Sub", "forged"}, [2]string{"X-Roles", "forged"}, [2]string{"X_ROLES", "forged"}, [2]string{"X-Each", "forged"})
					if username(a) != "alice" {
						t.Fatalf("%d %s", a.status, a.body)
					}
					h := a.upstream.Headers
					for name, want := range map[string]string{"X-Sub": tt.sub, "X-Roles": tt.roles, "X-Each": strings.Join(tt.each, "|")} {
						if got := strings.Join(h[name], "|"); got != want {
							t.Errorf("%s: %q, want %q", name, got, want)
						}
					}
					for name, values := range h {
						if strings.Contains(strings.Join(values, ""), "forged") {
							t.Errorf("%s: %q reached the upstream", name, values)
						}
					}
				}
			})
		}
	})
}

// TestSpoofedIdentity has a client tell who it is in every spelling, repeated,
// beside a token and without one, and have the true headers removed on the way
// (CVE-2025-64484; guard_test.go has each apart).
func TestSpoofedIdentity(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		var forged [][2]string
		for _, name := range identity {
			for _, spelt := range spellings(name) {
				forged = append(forged, [2]string{spelt, "root"}, [2]string{spelt, "admin"})
			}
		}
		token := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		for route, who := range map[string]string{"/plain": "alice", "/anonymous": "anonymous-user", "/preflight": ""} {
			headers, method := forged, "GET"
			switch route {
			case "/plain":
				headers = append([][2]string{token}, forged...)
			case "/preflight":
				method = "OPTIONS"
			}
			a := g.send(t, method, route, headers...)
			if a.status != 200 || username(a) != who {
				t.Errorf("%s: %d, %q, want %q", route, a.status, username(a), who)
				continue
			}
			for name, values := range relevant(a.upstream.Headers) {
				if text := strings.Join(values, ","); strings.Contains(text, "root") || strings.Contains(text, "admin") {
					t.Errorf("%s: %s: %s reached the upstream", route, name, text)
				}
			}
		}
		for _, value := range []string{"X-Consumer-ID", "close, x_consumer_username", "keep-alive ,X-CREDENTIAL-IDENTIFIER"} {
			refusedWith(t, g.send(t, "GET", "/plain", token, [2]string{"Connection", value}), 400, "Connection header names an identity header")
		}
	})
}

// TestTwoTokens has a good token and another one in different places, in the
// hope that one is verified and the other used (RFC 6750 section 2).
func TestTwoTokens(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		alice, bob := tokenOf(t, "hs256", "hs-a", "HS256"), tokenOf(t, "rs256", "rsa-a", "RS256")
		forged := encode(`{"alg":"none"}`) + "." + encode(`{"iss":"hs256"}`) + "."
		for _, pair := range [][2]string{{alice, bob}, {bob, alice}, {alice, forged}, {forged, alice}, {alice, alice + "="}} {
			refusedWith(t, g.send(t, "GET", "/plain?jwt="+pair[0], [2]string{"Authorization", "Bearer " + pair[1]}), 401, severalTokens)
			refusedWith(t, g.send(t, "GET", "/plain?jwt="+pair[0]+"&jwt="+pair[1]), 401, severalTokens)
		}
		if a := g.send(t, "GET", "/plain?jwt="+alice+"&jwt="+alice, [2]string{"Authorization", "Bearer " + alice}); username(a) != "alice" {
			t.Errorf("the same token three times: %d %s", a.status, a.body)
		}
	})
}

// TestSubstitutedParts mixes the parts of good tokens (RFC 8725 section 3.3).
func TestSubstitutedParts(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		mutated := func(how string) string {
			token, err := conformance.Token{Alg: "HS256", Key: "hs-a", Claims: object{"iss": "hs256"}, Mutate: how}.Make(setup.keys)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		one := strings.Split(tokenOf(t, "hs256", "hs-a", "HS256"), ".")
		two := strings.Split(forge(t, setup.keys, `{"alg":"HS256","typ":"JWT"}`, `{"iss":"hs256","admin":true}`, "HS256", "hs-a"), ".")
		g := specGateway(t, way...)
		g.repel(t, "/plain", []attack{
			{"good", strings.Join(one, "."), "", "alice"},
			{"claims of another", one[0] + "." + two[1] + "." + one[2], badSignature, ""},
			{"signature of another", one[0] + "." + one[1] + "." + two[2], badSignature, ""},
			{"claims changed", mutated("other-claims"), badSignature, ""},
			{"signature changed", mutated("flip-sig"), badSignature, ""},
			{"signature cut", mutated("short-sig"), badSignature, ""},
			{"signature with more", mutated("long-sig"), badSignature, ""},
			{"signature of another secret", tokenOf(t, "hs256", "hs-b", "HS256"), badSignature, ""},
			{"five parts, as JWE", strings.Join(one, ".") + "." + one[2] + "." + one[2], "Bad token; invalid signature", ""},
			{"not UTF-8", one[0] + "." + one[1] + ".\xff\xfe", "Bad token; invalid signature", ""},
			{"hexadecimal", hex.EncodeToString([]byte(one[0])) + "." + one[1] + "." + one[2], notJSON, ""},
		})
	})
}

// TestTimingOfSecretComparison: how far a signature is right must not show in
// how long it takes to refuse it (CWE-208). That is asserted where it can be
// without measuring: whatever function of the plugin finishes an HMAC compares it
// with hmac.Equal, and with nothing else. BenchmarkWrongSignature measures it.
func TestTimingOfSecretComparison(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../plugin/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	compared := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"crypto/hmac"` }) {
			continue
		}
		for _, d := range f.Decls {
			calls := map[string]bool{}
			ast.Inspect(d, func(n ast.Node) bool {
				if call, ok := n.(*ast.SelectorExpr); ok {
					of, _ := call.X.(*ast.Ident)
					calls[call.Sel.Name] = true
					if of != nil {
						calls[of.Name+"."+call.Sel.Name] = true
					}
				}
				return true
			})
			if !calls["Sum"] {
				continue
			}
			compared++
			if !calls["hmac.Equal"] || calls["bytes.Equal"] || calls["bytes.Compare"] {
				t.Errorf("%s: a signature is not compared with hmac.Equal alone", name)
			}
		}
	}
	if compared != 1 {
		t.Errorf("%d functions finish an HMAC, want 1: is this test up to date?", compared)
	}
}

// addRoute adds a route with the plugin.
func addRoute(config object, path string, plugin object) {
	service, _ := list(config["services"])[0].(object)
	service["routes"] = append(list(service["routes"]), object{
		"name": strings.TrimPrefix(path, "/"), "paths": []any{path}, "plugins": []any{object{"name": "go-jwt", "config": plugin}},
	})
}

// TestPublishedKeyConfusion turns what two identity providers publish against
// each other, and against the plugin (RFC 8725 sections 3.1, 3.8 and 3.10;
// CVE-2015-9235, CVE-2024-54150).
func TestPublishedKeyConfusion(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	b64 := base64.RawURLEncoding
	publish := func(key string) (url, set string) {
		public := setup.keys[key].RSA.PublicKey
		set = fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":%q,"use":"sig","n":%q,"e":"AQAB"}]}`, key, b64.EncodeToString(public.N.Bytes()))
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(set)) }))
		t.Cleanup(s.Close)
		return s.URL, set
	}
	urlA, setA := publish("rsa-a")
	urlB, _ := publish("rsa-b")
	config := copyConfig(t, specConfig(t))
	issuer := func(name, url string) object {
		return object{"issuer": name, "jwks_uri": url, "consumer_claim": []any{"user"}}
	}
	addRoute(config, "/issuers", object{"issuers": []any{issuer("https://a", urlA), issuer("https://b", urlB)}})
	addRoute(config, "/only-a", object{"issuers": []any{issuer("https://a", urlA)}})
	g := startGateway(t, config)
	token := func(iss, header, alg, key string) string {
		return forge(t, setup.keys, header, `{"iss":"`+iss+`","user":"alice","exp":4102444800}`, alg, key)
	}
	const unknownKey = "No key found for the token"
	pub := setup.keys["rsa-a"].PublicPEM()
	attacks := []attack{
		{"good", token("https://a", `{"alg":"RS256","kid":"rsa-a"}`, "RS256", "rsa-a"), "", "alice"},
		{"HS256 with the public key", token("https://a", `{"alg":"HS256","kid":"rsa-a"}`, "HS256", "literal:"+pub), badAlgorithm, ""},
		{"HS256 with the key set", token("https://a", `{"alg":"HS256","kid":"rsa-a"}`, "HS256", "literal:"+setA), badAlgorithm, ""},
		{"HS256 with nothing", token("https://a", `{"alg":"HS256"}`, "HS256", "literal:"), badAlgorithm, ""},
		{"none", token("https://a", `{"alg":"none","kid":"rsa-a"}`, "none", ""), unknownAlg, ""},
		{"RS512 where RS256 is allowed", token("https://a", `{"alg":"RS512","kid":"rsa-a"}`, "RS512", "rsa-a"), badAlgorithm, ""},
		{"the key of the other", token("https://a", `{"alg":"RS256","kid":"rsa-b"}`, "RS256", "rsa-b"), unknownKey, ""},
		{"the key of the other, under our kid", token("https://a", `{"alg":"RS256","kid":"rsa-a"}`, "RS256", "rsa-b"), badSignature, ""},
		{"the key of the other, no kid", token("https://a", `{"alg":"RS256"}`, "RS256", "rsa-b"), badSignature, ""},
		{"jku of the other", token("https://a", `{"alg":"RS256","kid":"rsa-b","jku":"`+urlB+`"}`, "RS256", "rsa-b"), unknownKey, ""},
		{"kid as a path", token("https://a", `{"alg":"RS256","kid":"../rsa-a"}`, "RS256", "rsa-a"), unknownKey, ""},
		{"kid as a list", token("https://a", `{"alg":"RS256","kid":["rsa-a"]}`, "RS256", "rsa-a"), unknownKey, ""},
		{"issuer in the header alone", forge(t, setup.keys, `{"alg":"RS256","kid":"rsa-a","iss":"https://a"}`, `{"user":"alice","exp":4102444800}`, "RS256", "rsa-a"), nobodysKey, ""},
		{"issuer with a slash", token("https://a/", `{"alg":"RS256","kid":"rsa-a"}`, "RS256", "rsa-a"), nobodysKey, ""},
		{"a credential's key signs for an issuer", token("https://a", `{"alg":"HS256"}`, "HS256", "hs-a"), badAlgorithm, ""},
	}
	// Twice: the second time the keys are there.
	poll(t, patience, func() bool {
		return g.send(t, "GET", "/issuers", bearer(attacks[0].token)).status == 200
	})
	g.repel(t, "/issuers", attacks)
	// What one route trusts, another one does not.
	foreign := bearer(token("https://b", `{"alg":"RS256","kid":"rsa-b"}`, "RS256", "rsa-b"))
	for range 2 {
		if a := g.send(t, "GET", "/issuers", foreign); username(a) != "alice" {
			t.Errorf("%d %s", a.status, a.body)
		}
		refusedWith(t, g.send(t, "GET", "/only-a", foreign), 401, nobodysKey)
	}
}

// TestBoundTokensStolen uses tokens that are bound to their client without being that
// client (RFC 8705 and RFC 9449; the sections are those that describe the attack).
func TestBoundTokensStolen(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		g := withRoutes(t, map[string][]any{
			"/bound":  jwt(object{"dpop": "honour", "mtls_binding": "honour", "dpop_proof_lifetime": 300}), // longer than this takes
			"/other":  jwt(object{"dpop": "honour", "mtls_binding": "honour"}),
			"/strict": jwt(object{"dpop": "required"}),
			"/nonce":  jwt(object{"dpop": "honour", "dpop_use_nonce": true}),
			"/proxied": jwt(object{
				"mtls_binding": "required", "certificate_header_name": "Client-Cert", "certificate_header_format": "base64_encoded",
				"trusted_proxies": []any{"10.0.0.0/8"},
			}),
		}, nil, append([]string{"-proxy-tls=127.0.0.1:0", "-ssl-verify-client=optional_no_ca"}, way...)...)
		victim, thief := newDPoPClient(t), newDPoPClient(t)
		own, thumbprint := clientCertificate(t)
		thiefs, _ := clientCertificate(t)
		certified := bearer(claimsToken(t, object{"cnf": object{"x5t#S256": thumbprint}}))
		base := "http://" + g.proxy
		uri := base + "/bound"
		proof := func(header, claims object) [][2]string {
			return victim.sent(victim.proof(t, "GET", uri, header, claims))
		}
		used := proof(nil, nil)
		if a := g.send(t, "GET", "/bound", used...); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		forged := *victim // signs with another key, and shows the victim's
		forged.key = thief.key
		asThief := *thief // the victim's token with the thief's key
		asThief.token = victim.token
		symmetric := golangjwt.NewWithClaims(golangjwt.SigningMethodHS256, golangjwt.MapClaims{})
		symmetric.Header["typ"], symmetric.Header["jwk"] = "dpop+jwt", object{"kty": "oct", "k": "AA"}
		byHMAC, err := symmetric.SignedString([]byte{0})
		if err != nil {
			t.Fatal(err)
		}
		since := time.Now().Unix()
		certificate := base64.StdEncoding.EncodeToString(own.Certificate[0])
		const invalid = "Invalid DPoP proof; "
		for name, tt := range map[string]struct {
			path    string
			headers [][2]string
			message string
		}{
			"RFC 9449 section 7.1: sent as Bearer":                 {"/bound", [][2]string{bearer(victim.token)}, "Token is bound to a key, and must be sent as DPoP"},
			"RFC 9449 section 7.1: in the query":                   {"/bound?jwt=" + victim.token, nil, "Token is bound to a key, and must be sent as DPoP"},
			"RFC 9449 section 7.1: in the query too":               {"/bound?jwt=" + victim.token, proof(nil, nil), "Token is bound to a key, and must be sent as DPoP"},
			"RFC 9449 section 7.2: downgrade to an unbound token":  {"/strict", [][2]string{bearer(claimsToken(t, nil))}, "Token is not bound to a key"},
			"RFC 9449 section 4.3: without a proof":                {"/bound", victim.sent(""), "DPoP proof is missing"},
			"RFC 9449 section 4.3: with two":                       {"/bound", append(proof(nil, nil), proof(nil, nil)[1]), invalid + "there are several"},
			"RFC 9449 section 4.3: with the thief's own":           {"/bound", asThief.sent(asThief.proof(t, "GET", uri, nil, nil)), invalid + "it is of another key than the token's"},
			"RFC 9449 section 4.3: signed by the thief":            {"/bound", forged.sent(forged.proof(t, "GET", uri, nil, nil)), invalid + "its signature is not that of its jwk"},
			"RFC 9449 section 11.1: replayed":                      {"/bound", used, invalid + "it was used before"},
			"RFC 9449 section 11.1: old":                           {"/bound", proof(nil, object{"iat": since - 400}), invalid + "iat is too long ago"},
			"RFC 9449 section 11.2: made in advance":               {"/bound", proof(nil, object{"iat": since + 3600}), invalid + "iat is in the future"},
			"RFC 9449 section 11.3: nonce made up":                 {"/nonce", victim.sent(victim.proof(t, "GET", base+"/nonce", nil, object{"nonce": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})), invalid + "it needs the nonce of DPoP-Nonce"},
			"RFC 9449 section 11.5: another kind of JWT":           {"/bound", proof(object{"typ": "JWT"}, nil), invalid + "typ is not dpop+jwt"},
			"RFC 9449 section 11.5: the token as its proof":        {"/bound", victim.sent(victim.token), invalid + "typ is not dpop+jwt"},
			"RFC 9449 section 11.6: none":                          {"/bound", proof(object{"alg": "none"}, nil), invalid + "alg is not an asymmetric algorithm that is supported"},
			"RFC 9449 section 11.6: symmetric":                     {"/bound", victim.sent(byHMAC), invalid + "alg is not an asymmetric algorithm that is supported"},
			"RFC 9449 section 4.3: for another method":             {"/bound", proof(nil, object{"htm": "POST"}), invalid + "htm is not the request's method"},
			"RFC 9449 section 4.3: for another resource":           {"/other", proof(nil, nil), invalid + "htu is not the request's URI"},
			"RFC 9449 section 4.3: for another server":             {"/bound", proof(nil, object{"htu": "http://api.example/bound"}), invalid + "htu is not the request's URI"},
			"RFC 9449 section 4.3: said to be forwarded":           {"/bound", append(proof(nil, object{"htu": "https://api.example/bound"}), [2]string{"X-Forwarded-Host", "api.example"}, [2]string{"X-Forwarded-Proto", "https"}), invalid + "htu is not the request's URI"},
			"RFC 9449 section 11.8: with another token of the key": {"/bound", proof(nil, object{"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}), invalid + "ath is not the token's hash"},
			"RFC 9449 section 4.3: private key in the proof":       {"/bound", proof(object{"jwk": object{"kty": "EC", "crv": "P-256", "x": victim.jwk["x"], "y": victim.jwk["y"], "d": "AA"}}, nil), invalid + "jwk is not a public key that is supported"},
			"RFC 7515 section 4.1.11: crit in the proof":           {"/bound", proof(object{"crit": []string{"b64"}, "b64": true}, nil), invalid + "crit is not supported"},
			"RFC 8705 section 3: without a certificate":            {"/bound", [][2]string{certified}, "Token is bound to a client certificate, and there is none"},
			"RFC 8705 section 6.5: certificate in a header":        {"/bound", [][2]string{certified, {"Client-Cert", certificate}, {"X-SSL-Client-Cert", certificate}}, "Token is bound to a client certificate, and there is none"},
			"RFC 8705 section 6.5: not by the proxy":               {"/proxied", [][2]string{certified, {"Client-Cert", certificate}, {"X-Forwarded-For", "10.0.0.1"}}, "Token is bound to a client certificate, and there is none"},
			"RFC 8705 section 3: downgrade to an unbound token":    {"/proxied", [][2]string{bearer(claimsToken(t, nil))}, "Token is not bound to a client certificate"},
		} {
			t.Run(name, func(t *testing.T) {
				for range 2 { // what was refused is refused again
					refusedWith(t, g.send(t, "GET", tt.path, tt.headers...), 401, tt.message)
				}
			})
		}
		if got, _ := ask(t, tlsClient(t, thiefs), "GET", "https://"+g.tlsAddress(t)+"/bound", certified); got != wrongCertificate {
			t.Errorf("with the thief's certificate: %s", got)
		}
	})
}
