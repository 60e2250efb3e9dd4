package plugin

import (
	"bytes"
	"slices"
	"strings"
)

// cookie returns the value of the first cookie of that name, as nginx's
// $cookie_NAME does (ngx_http_parse_multi_header_lines): names compare without
// case, spaces around "=" are passed over, "," ends a cookie that is not the
// wanted one, ";" ends every cookie.
func cookie(header []byte, name string) []byte {
	for s := header; len(s) >= len(name); {
		if s[0]|0x20 == name[0]|0x20 && bytes.EqualFold(s[:len(name)], []byte(name)) {
			s = bytes.TrimLeft(s[len(name):], " ")
			if value, ok := bytes.CutPrefix(s, []byte("=")); ok {
				value, _, _ = bytes.Cut(bytes.TrimLeft(value, " "), []byte(";"))
				return value
			}
			if len(s) == 0 {
				return nil
			}
			s = s[1:] // nginx takes whatever stands in the place of "=", also a ";"
		}
		end := 0
		for end < len(s) && s[end] != ';' && s[end] != ',' {
			end++
		}
		if end == len(s) {
			return nil
		}
		end++
		for end < len(s) && s[end] == ' ' { // no call: there can be thousands
			end++
		}
		s = s[end:]
	}
	return nil
}

// withoutCookies leaves the cookies of those names out, also those that stand
// behind a comma, where cookie finds them, and keeps all else byte for byte.
func withoutCookies(header []byte, names []string) (rest string, changed bool) {
	if len(header) == 0 || len(names) == 0 {
		return "", false
	}
	kept := make([]byte, 0, len(header)+1)
	for part := range bytes.SplitSeq(header, []byte(";")) {
		end := cookieAt(part, names)
		if changed = changed || end < len(part); end > 0 || len(part) == 0 {
			kept = append(append(kept, part[:end]...), ';')
		}
	}
	return strings.TrimLeft(strings.TrimSuffix(string(kept), ";"), " "), changed
}

// cookieAt returns where the first cookie of those names begins in what stands
// between two semicolons, with the comma before it; its value is all the rest. If
// there is none, that is the end.
func cookieAt(part []byte, names []string) int {
	for at := 0; at < len(part); at++ { // to what stands behind a comma
		if part[at] == ',' {
			continue
		}
		piece := part[at:]
		if comma := bytes.IndexByte(piece, ','); comma >= 0 {
			piece = piece[:comma]
		}
		if isCookie(piece, at == 0, names) {
			return len(bytes.TrimRight(part[:at], " ,"))
		}
		at += len(piece)
	}
	return len(part)
}

// isCookie tells whether a piece is a cookie of one of those names. Where it may
// be bare, it needs no value.
func isCookie(piece []byte, bare bool, names []string) bool {
	if !slices.ContainsFunc(names, func(n string) bool { return len(n) <= len(piece) }) {
		return false // there can be thousands of short pieces
	}
	name, _, hasValue := bytes.Cut(piece, []byte("="))
	name = bytes.TrimSpace(name)
	return (bare || hasValue) && slices.ContainsFunc(names, func(n string) bool { return len(n) == len(name) && bytes.EqualFold(name, []byte(n)) })
}
