package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// answerAll is a function that allows everything: the least that an exchange
// with the Runtime API costs a program in Go.
func answerAll() error {
	const answer = `{"policyDocument":{"Statement":[{"Effect":"Allow"}]}}`
	conn, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
	if err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	for {
		id, err := exchange(conn, in, "GET /2018-06-01/runtime/invocation/next", "")
		if err != nil {
			return err
		}
		if _, err := exchange(conn, in, "POST /2018-06-01/runtime/invocation/"+id+"/response", answer); err != nil {
			return err
		}
	}
}

// exchange sends a request and returns the request ID of the answer.
func exchange(conn io.Writer, in *bufio.Reader, what, body string) (string, error) {
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: lambda\r\nContent-Length: %d\r\n\r\n%s", what, len(body), body); err != nil {
		return "", err
	}
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return r.Header.Get("Lambda-Runtime-Aws-Request-Id"), err
}
