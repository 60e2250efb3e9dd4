package runtimeapi

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzAnswer holds what is read of an answer against what net/http reads.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nLambda-Runtime-Aws-Request-Id: a\r\n\r\none",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\non\r\n1\r\ne\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 202 Accepted\r\nLambda-Runtime-Deadline-Ms: 1\r\n\r\none",
		"HTTP/1.1 204 No Content\nConnection: close\n\n",
		"HTTP/1.1 200\r\nContent-Length: 1\r\ncontent-length: 1\r\n folded\r\n\r\nx",
	} {
		f.Add([]byte(seed))
	}
	const limit = 100
	f.Fuzz(func(t *testing.T, text []byte) {
		in := bufio.NewReader(bytes.NewReader(text))
		ours, err := readHead(in)
		if err != nil || ours.status/100 != 2 {
			return
		}
		var body bytes.Buffer
		failed := ours.readBody(in, &body, limit)
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			return
		}
		defer theirs.Body.Close()
		want, err := io.ReadAll(theirs.Body)
		if err != nil { // of trailers, too
			return
		}
		if failed != nil {
			t.Fatal(failed)
		}
		if want = want[:min(len(want), limit)]; !bytes.Equal(body.Bytes(), want) {
			t.Errorf("body %q, net/http %q", body.Bytes(), want)
		}
		id := theirs.Header.Values("Lambda-Runtime-Aws-Request-Id")
		if ours.status != theirs.StatusCode || ours.requestID != "" && !slices.Contains(id, ours.requestID) {
			t.Errorf("%+v, net/http %d %q", ours, theirs.StatusCode, id)
		}
		if chunked := slices.Contains(theirs.TransferEncoding, "chunked"); ours.chunked != chunked && ours.status != http.StatusNoContent {
			t.Errorf("chunked %v, net/http %v in %s", ours.chunked, chunked, strings.ToValidUTF8(string(text), "?"))
		}
	})
}
