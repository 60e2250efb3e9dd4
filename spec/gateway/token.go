package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"time"
)

// mint makes an HS256 token of the issuer key.
func mint(key, secret string, ttl time.Duration) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": key, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(ttl).Unix(),
	})
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil)), nil
}

// runToken is the subcommand `token`.
func runToken(args []string) error {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	key := flags.String("key", "https://auth.example.com", "key of the credential: the claim iss")
	secret := flags.String("secret", "", "secret of the credential")
	ttl := flags.Int("ttl", 3600, "lifetime in seconds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *secret == "" {
		return errors.New("-secret is required")
	}
	token, err := mint(*key, *secret, time.Duration(*ttl)*time.Second)
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}
