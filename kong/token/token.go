// Package token is "go-jwt token": it makes a token to try a configuration with.
package token

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/schema"
)

const about = `Usage: go-jwt token -alg ES256 -key FILE [flags]
       go-jwt token -alg HS256 -secret-file FILE [flags]
       go-jwt token -config kong.yml [-key FILE] [flags]

Prints a token to try a configuration with. It is signed with a private key (PEM) or a
secret, and has iat, nbf and exp beside the claims that you give. With -config, the
algorithm, the secret and the claim that selects the credential come from that file:
from the credential whose key is -credential or -iss, or else from the first one.`

// Make is the command "go-jwt token". The token goes to out, and nothing else;
// the error holds nothing of the key.
func Make(in io.Reader, out, errs io.Writer, args []string) error {
	f := flag.NewFlagSet("token", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() {
		_, _ = fmt.Fprintf(errs, "%s\n\nFlags:\n", about)
		f.PrintDefaults()
	}
	now := time.Now()
	claims := jwt.MapClaims{"iat": now.Unix(), "nbf": now.Unix()}
	text := func(claim string) func(string) error {
		return func(s string) error { claims[claim] = s; return nil }
	}
	algorithm := f.String("alg", "HS256", "`algorithm`, one of "+strings.Join(schema.Algorithms(), ", "))
	config := f.String("config", "", "declarative `file` from which to take the credential")
	credentialKey := f.String("credential", "", "with -config: `key` of the credential to use")
	keyFile := f.String("key", "", "`file` with the private key, as PEM; - is standard input")
	secretFile := f.String("secret-file", "", "`file` with the secret, a newline at its end does not count; - is standard input")
	keyID := f.String("kid", "", "`id` of the key, for kid in the token's header")
	ttl := f.Duration("ttl", time.Hour, "how long the token is valid; negative: it has already expired")
	f.Func("iss", "`issuer`; with -config, the default is the key of the credential", text("iss"))
	f.Func("sub", "`subject`", text("sub"))
	f.Func("aud", "`audience`", text("aud"))
	f.Func("claim", "`NAME=VALUE`: another claim; VALUE is JSON or, if it is not, a string; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return errors.New("must be NAME=VALUE")
		}
		var v any = value
		d := json.NewDecoder(strings.NewReader(value))
		d.UseNumber()
		if d.Decode(&v) != nil || d.More() {
			v = value
		}
		claims[name] = v
		return nil
	})
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("token: unexpected argument %q", f.Arg(0))
	}
	if _, given := claims["exp"]; !given {
		claims["exp"] = now.Add(*ttl).Unix()
	}
	var chosen *credential
	if *config != "" {
		asked := ""
		f.Visit(func(f *flag.Flag) {
			if f.Name == "alg" {
				asked = *algorithm
			}
		})
		iss, _ := claims["iss"].(string)
		var err error
		if chosen, err = findCredential(in, *config, cmp.Or(*credentialKey, iss), asked, *keyFile != ""); err != nil {
			return fmt.Errorf("token: %w", err)
		}
		*algorithm = chosen.algorithm
		if _, given := claims[chosen.claim]; chosen.claim == "kid" && !given {
			*keyID = cmp.Or(*keyID, chosen.key)
		} else if !given {
			claims[chosen.claim] = chosen.key
		}
	}
	key, err := readKey(in, chosen, *algorithm, *keyFile, *secretFile)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	t := jwt.NewWithClaims(signingMethod(*algorithm, key), claims)
	if *keyID != "" {
		t.Header["kid"] = *keyID
	}
	signed, err := t.SignedString(key)
	if err != nil {
		return fmt.Errorf("token: the key does not fit %s: %w", *algorithm, err)
	}
	_, err = fmt.Fprintln(out, signed)
	return err //nolint:wrapcheck // of a stream
}

// readKey returns what golang-jwt signs with: the secret of c, if there is one and
// no file is given instead.
func readKey(in io.Reader, c *credential, algorithm, keyFile, secretFile string) (any, error) {
	symmetric := strings.HasPrefix(algorithm, "HS")
	file := keyFile
	switch {
	case jwt.GetSigningMethod(algorithm) == nil || algorithm == "none":
		return nil, fmt.Errorf("-alg: unknown algorithm %q", algorithm)
	case symmetric && c != nil && secretFile == "" && keyFile == "":
		return c.bytes()
	case symmetric && (secretFile == "" || keyFile != ""):
		return nil, fmt.Errorf("%s needs -secret-file, and no -key", algorithm)
	case !symmetric && (keyFile == "" || secretFile != ""):
		return nil, fmt.Errorf("%s needs -key, and no -secret-file", algorithm)
	case symmetric:
		file = secretFile
	}
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(file)
	}
	switch {
	case err != nil:
		return nil, err //nolint:wrapcheck // names the file
	case symmetric:
		secret := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		if len(secret) == 0 {
			return nil, errors.New("the secret is empty")
		}
		return secret, nil
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key any
		switch block.Type {
		case "PRIVATE KEY":
			if k, ok := parseEd448(block.Bytes); ok {
				return k, nil
			}
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default: // such as openssl's EC PARAMETERS
			continue
		}
		if err != nil {
			return nil, errors.New("the private key cannot be read")
		}
		return key, nil
	}
	return nil, errors.New("there is no PEM private key in the file")
}
