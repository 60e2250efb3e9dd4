package runtimeapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// answer is what the Runtime API answers, but for its body (RFC 9112).
type answer struct {
	status  int
	length  int64 // of the body; -1: up to the end of the connection
	chunked bool
	close   bool // the connection is not kept

	requestID, functionARN string
	deadline               time.Time // zero: none
}

const maxHead = 64 << 10 // bytes

var errMalformed = errors.New("malformed HTTP")

// readHead reads a status line and headers, of HTTP/1.1 or 1.0.
func readHead(in *bufio.Reader) (*answer, error) {
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	a := &answer{length: -1}
	version, rest, _ := strings.Cut(string(line), " ")
	status, _, _ := strings.Cut(rest, " ")
	old := version == "HTTP/1.0"
	if a.status, err = strconv.Atoi(status); err != nil || len(status) != 3 || version != "HTTP/1.1" && !old {
		return nil, errMalformed
	}
	a.close = old
	for size := len(line); ; size += len(line) {
		if line, err = readLine(in); err != nil {
			return nil, err
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || size > maxHead || bytes.ContainsAny(name, " \t") {
			return nil, errMalformed
		}
		if err := a.header(string(name), string(bytes.Trim(value, " \t"))); err != nil {
			return nil, err
		}
	}
	if a.chunked && (a.length >= 0 || old) {
		return nil, errMalformed
	}
	return a, nil
}

// header takes note of a header.
func (a *answer) header(name, value string) error {
	switch {
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || a.length >= 0 && a.length != int64(n) {
			return errMalformed
		}
		a.length = int64(n)
	case strings.EqualFold(name, "Transfer-Encoding"):
		if a.chunked || !strings.EqualFold(value, "chunked") {
			return errMalformed
		}
		a.chunked = true
	case strings.EqualFold(name, "Connection"):
		a.close = a.close || strings.EqualFold(value, "close")
	case strings.EqualFold(name, "Lambda-Runtime-Aws-Request-Id"):
		a.requestID = value
	case strings.EqualFold(name, "Lambda-Runtime-Invoked-Function-Arn"):
		a.functionARN = value
	case strings.EqualFold(name, "Lambda-Runtime-Deadline-Ms"):
		if ms, err := strconv.ParseInt(value, 10, 64); err == nil {
			a.deadline = time.UnixMilli(ms)
		}
	}
	return nil
}

// readLine reads up to the end of a line, which it cuts off. The line is there until
// the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errMalformed
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// readBody reads the body to its end. The first limit bytes of it go to "to".
func (a *answer) readBody(in *bufio.Reader, to *bytes.Buffer, limit int64) error {
	if a.status == http.StatusNoContent {
		return nil
	}
	var body io.Reader = in
	switch {
	case a.chunked:
		body = httputil.NewChunkedReader(in)
	case a.length >= 0:
		body = io.LimitReader(in, a.length)
	}
	n, err := to.ReadFrom(io.LimitReader(body, limit))
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	dropped, err := io.Copy(io.Discard, body)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if a.length >= 0 && n+dropped < a.length {
		return io.ErrUnexpectedEOF
	}
	for line := []byte("?"); a.chunked && len(line) > 0; { // trailers, which tell nothing
		if line, err = readLine(in); err != nil {
			return err
		}
	}
	return nil
}
