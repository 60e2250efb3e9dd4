package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// What the client has called, as a proxy tells it that is trusted
// (kong/pdk/request.lua).

// ParseTrusted reads addresses and CIDR blocks, separated by commas.
func ParseTrusted(list string) (trusted []netip.Prefix, err error) {
	if list == "" {
		return nil, nil
	}
	for text := range strings.SplitSeq(list, ",") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a CIDR block", text)
			}
			p = netip.PrefixFrom(address, address.BitLen())
		}
		trusted = append(trusted, p)
	}
	return trusted, nil
}

func (g *Gateway) trusts(ip string) bool {
	address, err := netip.ParseAddr(ip)
	return err == nil && slices.ContainsFunc(g.Trusted, func(p netip.Prefix) bool { return p.Contains(address.Unmap()) })
}

// forwarded is a header of a trusted proxy.
func (c *requestContext) forwarded(name string) (string, bool) {
	ip, _, _ := net.SplitHostPort(c.req.RemoteAddr)
	if !c.gateway.trusts(ip) {
		return "", false
	}
	return c.headerValue(name)
}

func (c *requestContext) forwardedScheme() string {
	if scheme, ok := c.forwarded("X-Forwarded-Proto"); ok {
		return strings.ToLower(scheme)
	}
	return c.req.Scheme()
}

func (c *requestContext) forwardedHost() string {
	host, ok := c.forwarded("X-Forwarded-Host")
	if !ok {
		return c.requestHost()
	}
	host, _, _ = strings.Cut(withoutUser(host), ":")
	return strings.ToLower(host)
}

func (c *requestContext) forwardedPort() int {
	port, _ := c.forwarded("X-Forwarded-Port")
	host, _ := c.forwarded("X-Forwarded-Host")
	_, inHost, _ := strings.Cut(withoutUser(host), ":")
	for _, text := range []string{port, inHost} {
		if n, err := strconv.Atoi(text); err == nil && 1 <= n && n <= 65535 {
			return n
		}
	}
	return c.port()
}

func withoutUser(host string) string {
	if _, after, ok := strings.Cut(host, "@"); ok {
		return after
	}
	return host
}

// port is the one that Kong listens on.
func (c *requestContext) port() int {
	_, text, _ := net.SplitHostPort(c.req.LocalAddr)
	n, _ := strconv.Atoi(text)
	return n
}
