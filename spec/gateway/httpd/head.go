package httpd

import (
	"bytes"
	"strings"
)

// head is the head of a request as echo-nginx-module has it
// (ngx_http_echo_client_request_headers_variable): as it came, but that nginx has ended
// names and values in it by NULs, and that the module guesses what was there before. It
// does so as if all were in one buffer.
type head struct {
	text []byte
}

// field appends the line of a header whose name has that length.
func (h *head) field(line string, name int) {
	end := name // of the value; without a colon, there is none
	if line[name] == ':' {
		value := strings.TrimLeft(line[name+1:], " ")
		end = len(line) - len(value) + len(strings.TrimRight(strings.TrimRight(value, "\r\n"), " "))
	}
	at := len(h.text)
	h.text = append(h.text, line...)
	h.text[at+name], h.text[at+end] = 0, 0
}

// shown returns what the variable shows.
func (h *head) shown() string {
	for i, nuls := 0, 0; i < len(h.text); i++ {
		if h.text[i] != 0 {
			continue
		}
		nuls++
		switch {
		case i+1 < len(h.text) && h.text[i+1] == '\n':
			h.text[i] = '\r'
		case nuls%2 == 1:
			h.text[i] = ':'
		default:
			h.text[i] = '\n'
		}
	}
	for _, end := range []string{"\r\n\r\n", "\r\n\n", "\n\r\n"} {
		if i := bytes.Index(h.text, []byte(end)); i >= 0 {
			return string(h.text[:i+len(end)])
		}
	}
	return string(h.text)
}
