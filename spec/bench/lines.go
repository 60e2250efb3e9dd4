package main

import (
	"strings"
	"time"
)

// line is one line of the table.
type line struct {
	name        string
	config      string
	include     string // flags of go-jwt -nginx-conf; "-": no include
	connections int
	token       string
	plain       bool // the plain go-pdk plugin is measured too
	floor       bool // and so is floor.c
	refused     bool
	bundled     time.Duration // what a request costs Kong with the bundled plugin; 0: not told
	baseConfig  string        // of the binary to compare with, where it knows less
}

func (w *world) lines() ([]line, error) {
	tokens := map[string]string{}
	for _, algorithm := range []string{"HS256", "RS256", "ES256", "EdDSA", "ES384", "ES512"} {
		var err error
		if tokens[algorithm], err = w.token(algorithm, 1); err != nil {
			return nil, err
		}
	}
	hs := tokens["HS256"]
	bad := hs[:len(hs)-4] + strings.Map(func(r rune) rune { return r ^ 1 }, hs[len(hs)-4:len(hs)-1]) + hs[len(hs)-1:]
	const claim = `{"claims_to_headers":[{"header":"X-User","claim":["sub"]}]}`
	lines := []line{}
	for _, n := range []int{1, 16, 64} {
		lines = append(lines, line{name: "HS256", connections: n, token: hs, plain: true, floor: true, bundled: bundledHS})
	}
	lines = append(lines,
		line{name: "HS256, no include", include: "-", connections: 16, token: hs, bundled: bundledHS},
		line{name: "HS256, -edge, share_token false", config: `{"share_token":false}`, include: "-edge", baseConfig: "{}", connections: 16, token: hs, bundled: bundledHS},
		line{name: "HS256, a claim in a header", config: claim, connections: 16, token: hs, bundled: bundledHS},
		line{name: "HS256, a claim in a header, -edge -header", config: claim, include: "-edge -header X-User", connections: 16, token: hs, bundled: bundledHS},
		line{name: "bad signature", connections: 16, token: bad, plain: true, floor: true, refused: true, bundled: bundledNo},
	)
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		lines = append(lines,
			line{name: algorithm, connections: 16, token: tokens[algorithm], plain: true},
			line{name: algorithm + ", cache_ttl 0", config: `{"cache_ttl":0}`, connections: 16, token: tokens[algorithm]})
	}
	for _, algorithm := range []string{"ES384", "ES512"} {
		lines = append(lines, line{name: algorithm + ", cache_ttl 0", config: `{"cache_ttl":0}`, connections: 16, token: tokens[algorithm]})
	}
	return lines, nil
}
