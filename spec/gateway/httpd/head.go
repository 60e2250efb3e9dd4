package httpd

import (
	"bytes"
	"strings"
)

// head is the head of a request as echo-nginx-module has it
// (ngx_http_echo_client_request_headers_variable): as it came, but that nginx has ended
// names and values in it by NULs, and that the module guesses what was there before. It
// does so for each of nginx's buffers, of which it leaves out what is behind the last LF.
type head struct {
	text []byte
	from int // where the current buffer begins in it
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

// endBuffer ends the current buffer.
func (h *head) endBuffer() {
	buffer := h.text[h.from:]
	buffer = buffer[:bytes.LastIndexByte(buffer, '\n')+1]
	nuls := 0
	for i, c := range buffer {
		if c != 0 {
			continue
		}
		nuls++
		switch { // the last byte is LF
		case buffer[i+1] == '\n':
			buffer[i] = '\r'
		case nuls%2 == 1:
			buffer[i] = ':'
		default:
			buffer[i] = '\n'
		}
	}
	h.from += len(buffer)
	h.text = h.text[:h.from]
}

// shown returns what the variable shows.
func (h *head) shown() string {
	h.endBuffer()
	for _, end := range []string{"\r\n\r\n", "\r\n\n", "\n\r\n"} {
		if i := bytes.Index(h.text, []byte(end)); i >= 0 {
			return string(h.text[:i+len(end)])
		}
	}
	for i := len(h.text) - 1; i > 1; i-- { // lines end in LF alone
		if before := &h.text[i-1]; h.text[i] == '\n' && (*before == '\r' || *before == '\n') {
			*before = '\n'
			return string(h.text[:i+1])
		}
	}
	return string(h.text)
}
