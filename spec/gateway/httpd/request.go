package httpd

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds, those of nginx where it has them: client_header_buffer_size 1k and
// large_client_header_buffers 4 8k.
const (
	firstBuffer  = 1 << 10
	maxLine      = 8 << 10
	largeBuffers = 4
	maxBody      = 16 << 20
	maxHeaders   = 1000 // nginx's max_headers, which Kong 3.9.3 has by a patch
)

// buffers is the room that nginx has for the head of a request. A line never
// spans two buffers: what is left of one is lost.
type buffers struct {
	line  int // the longest: the size of a large buffer
	room  int // in the current buffer
	large int // taken
}

// take tells whether there is room for a line, its end included.
func (b *buffers) take(line int) bool {
	if line > b.room {
		if line > b.line || b.large == largeBuffers {
			return false
		}
		b.room, b.large = b.line, b.large+1
	}
	b.room -= line
	return true
}

// Request is one request as it came.
type Request struct {
	// Line is the whole request line: nginx's $request.
	Line, Method, Target, Proto string
	// Path and Query are the parts of Target; HasQuery tells `/?` from `/`.
	Path, Query string
	HasQuery    bool
	Header      Header
	// Head is nginx's $echo_client_request_headers; empty if the request came by HTTP/2.
	Head string
	Body []byte
	// RemoteAddr and LocalAddr are host:port.
	RemoteAddr, LocalAddr string
	// TLS is nil where the connection is not encrypted.
	TLS *tls.ConnectionState
}

// Scheme is http or https.
func (req *Request) Scheme() string {
	if req.TLS != nil {
		return "https"
	}
	return "http"
}

// statusError is a request that is answered by the server itself.
type statusError int

func (e statusError) Error() string { return "refused with status " + strconv.Itoa(int(e)) }

// errClosed tells of a connection that ended between requests.
var errClosed = errors.New("connection closed")

// readLine reads a line that fits into b, with its end.
func readLine(r *bufio.Reader, b *buffers, tooLong statusError) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || err == nil && !b.take(len(line)) {
		return "", tooLong
	}
	if err != nil {
		return "", err
	}
	return string(line), nil
}

// withoutEnd cuts off what ends a line.
func withoutEnd(line string) string { return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r") }

// readRequest reads a request off r, with lines of at most longest bytes; w takes
// the 100 Continue.
func readRequest(r *bufio.Reader, w io.Writer, longest int) (*Request, error) {
	room := &buffers{line: longest, room: firstBuffer}
	line, err := readLine(r, room, 414)
	if err == nil && withoutEnd(line) == "" { // nginx skips an empty line before a request
		line, err = readLine(r, room, 414)
	}
	if err != nil {
		var status statusError
		if errors.As(err, &status) {
			return nil, err
		}
		return nil, errClosed
	}
	req := &Request{Line: withoutEnd(line)}
	if err := req.parseLine("HTTP/1.1", "HTTP/1.0"); err != nil {
		return req, err
	}
	head := &head{text: []byte(line)}
	if err := req.readHeader(r, room, head); err != nil {
		return req, err
	}
	req.Head = head.shown()
	return req, req.readBody(r, w)
}

func (req *Request) parseLine(protocols ...string) error {
	method, rest, ok := strings.Cut(req.Line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || method == "" || !slices.Contains(protocols, proto) {
		return statusError(400)
	}
	for i := range len(method) {
		if c := method[i]; (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return statusError(400)
		}
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return statusError(400)
		}
	}
	for _, scheme := range []string{"http://", "https://"} {
		if rest, ok := strings.CutPrefix(target, scheme); ok {
			i := strings.IndexAny(rest, "/?")
			if i < 0 {
				return statusError(400)
			}
			target = rest[i:]
		}
	}
	if !strings.HasPrefix(target, "/") {
		return statusError(400)
	}
	req.Method, req.Target, req.Proto = method, target, proto
	target, _, _ = strings.Cut(target, "#")
	req.Path, req.Query, req.HasQuery = strings.Cut(target, "?")
	if !normalizes(req.Path) {
		return statusError(400)
	}
	return nil
}

// normalizes tells whether nginx can make a $uri of path: escapes are undone
// first, and then no ".." may lead above the root.
func normalizes(path string) bool {
	plain, err := url.PathUnescape(path)
	if err != nil || strings.IndexByte(plain, 0) >= 0 {
		return false
	}
	depth := 0
	segments := strings.Split(plain[1:], "/")
	for i, s := range segments {
		switch s {
		case "": // slashes are merged
		case ".":
		case "..":
			if depth--; depth < 0 {
				return false
			}
		default:
			if i < len(segments)-1 {
				depth++
			}
		}
	}
	return true
}

func (req *Request) readHeader(r *bufio.Reader, room *buffers, head *head) error {
	lines, large := 0, room.large
	for {
		whole, err := readLine(r, room, 400)
		if err != nil {
			return err
		}
		if room.large > large { // in another buffer
			head.endBuffer()
			large = room.large
		}
		line := withoutEnd(whole)
		if line == "" {
			head.text = append(head.text, whole...)
			break
		}
		name, value, _ := strings.Cut(line, ":") // without a colon, it has no value
		value = strings.TrimRight(value, "\r")
		if name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f }) || strings.ContainsAny(value, "\x00\r") {
			return statusError(400)
		}
		if lines++; lines > maxHeaders {
			return statusError(400)
		}
		if !validName(name) {
			head.text = append(head.text, whole...)
			continue // ignore_invalid_headers
		}
		head.field(whole, len(name))
		req.Header.Add(name, strings.Trim(value, " ")) // tabs stay
	}
	if host, ok := req.Header.Get("Host"); ok && !validHost(host) || !ok && req.Proto == "HTTP/1.1" {
		return statusError(400)
	}
	return req.checkUnique()
}

// validHost tells whether nginx takes a host (ngx_http_validate_host).
func validHost(host string) bool {
	if strings.Contains(host, "..") || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '/' }) {
		return false
	}
	if name, _, ok := strings.Cut(host, "]"); ok && strings.HasPrefix(name, "[") {
		return true
	}
	name, _, _ := strings.Cut(host, ":")
	return strings.TrimSuffix(name, ".") != ""
}

func (req *Request) checkUnique() error {
	for _, name := range uniqueHeaders {
		if len(req.Header.Values(name)) > 1 {
			return statusError(400)
		}
	}
	return nil
}

// uniqueHeaders are those nginx refuses to see twice.
var uniqueHeaders = [...]string{ //nolint:gochecknoglobals // a constant list
	"Host", "Authorization", "Content-Length", "Transfer-Encoding", "Expect", "Upgrade",
	"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
}

// validName tells whether nginx keeps a header of that name, underscores
// allowed, as Kong sets it up.
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return name != ""
}

func (req *Request) readBody(r *bufio.Reader, w io.Writer) error {
	encoding, chunked := req.Header.Get("Transfer-Encoding")
	size, sized := req.Header.Get("Content-Length")
	if !chunked && !sized {
		return nil
	}
	if chunked && (sized || !strings.EqualFold(encoding, "chunked")) {
		return statusError(400)
	}
	n, err := strconv.ParseUint(size, 10, 31)
	if sized && err != nil {
		return statusError(400)
	}
	if n > maxBody {
		return statusError(413)
	}
	if expect, ok := req.Header.Get("Expect"); ok && strings.EqualFold(expect, "100-continue") {
		if _, err := io.WriteString(w, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	if sized {
		req.Body = make([]byte, n)
		_, err = io.ReadFull(r, req.Body)
		return err
	}
	req.Body, err = io.ReadAll(io.LimitReader(httputil.NewChunkedReader(r), maxBody+1))
	if err != nil {
		return fmt.Errorf("reading a chunked body: %w", err)
	}
	if len(req.Body) > maxBody {
		return statusError(413)
	}
	for { // the trailer, dropped
		line, err := readLine(r, &buffers{line: maxLine, room: firstBuffer}, 400)
		if err != nil || withoutEnd(line) == "" {
			return err
		}
	}
}
