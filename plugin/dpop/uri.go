package dpop

import (
	"net"
	"strings"
)

// Normalize returns an http or https URI in the form in which two are compared for
// DPoP: without query and fragment (RFC 9449 section 4.3), scheme and host in lower
// case, without the scheme's own port, percent-encodings only where they are needed and
// in upper case, and without dot segments (RFC 3986 sections 6.2.2 and 6.2.3). It
// reports false for what is no such URI, or holds a user.
func Normalize(uri string) (string, bool) {
	if i := strings.IndexAny(uri, "?#"); i >= 0 {
		uri = uri[:i]
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return "", false
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host, port := HostPort(strings.ToLower(authority))
	path, ok = normalizePath(path)
	if !ok || host == "" || strings.ContainsAny(host, "@\\ ") {
		return "", false
	}
	if port != "" && port != DefaultPort(scheme) {
		host += ":" + port
	}
	return scheme + "://" + host + path, true
}

// DefaultPort is the port of a scheme that is not told in its URIs.
func DefaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// HostPort takes an authority apart, such as a Host header is. It returns a port of ""
// where none is told. An IPv6 address stays in brackets.
func HostPort(authority string) (host, port string) {
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		return authority, ""
	}
	if strings.IndexByte(host, ':') >= 0 {
		host = "[" + host + "]"
	}
	return host, port
}

// normalizePath normalizes a path that is empty or begins with a slash. It reports
// false for a percent sign that encodes nothing.
func normalizePath(path string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			return "", false
		}
		if c := unhex(path[i+1])<<4 | unhex(path[i+2]); isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return removeDotSegments(b.String()), true
}

// removeDotSegments does what RFC 3986 section 5.2.4 says, to an absolute path.
func removeDotSegments(path string) string {
	if path == "" {
		return "/"
	}
	segments := strings.Split(path[1:], "/")
	kept := make([]string, 0, len(segments)+1)
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, s)
			continue
		}
		if last { // what is left ends in a slash
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

func isUnreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
