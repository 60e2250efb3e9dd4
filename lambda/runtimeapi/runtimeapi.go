// Package runtimeapi is the loop of a function on AWS Lambda: it asks the Lambda
// Runtime API (version 2018-06-01) for events and tells it the answers.
//
// It is a client for one server on this host, with one connection and no
// goroutine of its own. Why it is not aws-lambda-go's: docs/adr/0010.
package runtimeapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Handler answers events. The context has the event's deadline and the
// [lambdacontext.LambdaContext] with its request ID. The payload is the handler's
// until it returns. The text of an error is told to who has invoked the function,
// and the loop goes on; a panic ends the program.
type Handler interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// Loop serves events, one after the other.
type Loop struct {
	Address string // host:port, as AWS_LAMBDA_RUNTIME_API has it
	Handler Handler
	// MaxEvent bounds an event, in bytes. Of a longer one the handler is given the
	// first MaxEvent+1.
	MaxEvent int64

	conn  net.Conn // nil: there is none
	in    *bufio.Reader
	out   []byte // a request
	event bytes.Buffer
}

// Run serves events until that fails, which is for Lambda to mend by a new
// process. It returns the reason.
func (l *Loop) Run(ctx context.Context) error {
	defer l.hangUp()
	for {
		if err := l.serve(ctx); err != nil {
			return fmt.Errorf("the Lambda Runtime API: %w", err)
		}
	}
}

// serve waits for an event and answers it.
func (l *Loop) serve(ctx context.Context) error {
	next, err := l.exchange(ctx, "GET", "invocation/next", nil)
	if err != nil {
		return err
	}
	if next.requestID == "" {
		return errors.New("an event has no request ID")
	}
	path := "invocation/" + url.PathEscape(next.requestID)
	told, err := l.invoke(ctx, next)
	if err != nil {
		_, err = l.exchange(ctx, "POST", path+"/error", failure(err))
		return err
	}
	_, err = l.exchange(ctx, "POST", path+"/response", told)
	return err
}

// invoke hands the event to the handler.
func (l *Loop) invoke(ctx context.Context, next *answer) ([]byte, error) {
	if !next.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, next.deadline)
		defer cancel()
	}
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: next.requestID, InvokedFunctionArn: next.functionARN})
	return l.Handler.Invoke(ctx, l.event.Bytes())
}

// FailInit tells that the function cannot start. It takes no longer than a second.
func FailInit(ctx context.Context, address string, why error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	l := &Loop{Address: address}
	defer l.hangUp()
	_, err := l.exchange(ctx, "POST", "init/error", failure(why))
	return err
}

// failure is the body that tells of an error.
func failure(err error) []byte {
	text, _ := json.Marshal(map[string]string{"errorMessage": err.Error(), "errorType": "Error"}) // texts always encode
	return text
}

// errHungUp tells that the server has closed the connection instead of answering.
var errHungUp = errors.New("the connection is closed")

// exchange sends a request and reads the answer, whose body is in l.event. If the
// server has hung up since the last exchange, it dials anew, once.
func (l *Loop) exchange(ctx context.Context, method, path string, body []byte) (*answer, error) {
	for {
		kept := l.conn != nil
		if !kept {
			if err := l.dial(ctx); err != nil {
				return nil, err
			}
		}
		a, err := l.roundTrip(method, path, body)
		if err != nil || a.close {
			l.hangUp()
		}
		switch {
		case err == nil:
			return a, nil
		case !kept || !errors.Is(err, errHungUp):
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
}

func (l *Loop) roundTrip(method, path string, body []byte) (*answer, error) {
	l.out = append(append(append(l.out[:0], method...), " /2018-06-01/runtime/"...), path...)
	l.out = append(append(l.out, " HTTP/1.1\r\nHost: "...), l.Address...)
	if method == "POST" {
		l.out = append(l.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		l.out = strconv.AppendInt(l.out, int64(len(body)), 10)
	}
	l.out = append(append(l.out, "\r\n\r\n"...), body...)
	if _, err := l.conn.Write(l.out); err != nil {
		return nil, errHungUp
	}
	if _, err := l.in.Peek(1); err != nil {
		return nil, errHungUp
	}
	a, err := readHead(l.in)
	switch {
	case err != nil:
		return nil, err
	case a.status/100 != 2:
		return nil, fmt.Errorf("status %d", a.status)
	}
	l.event.Reset()
	return a, a.readBody(l.in, &l.event, l.MaxEvent+1)
}

func (l *Loop) dial(ctx context.Context) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.Address)
	if err != nil {
		return err
	}
	if l.conn, err = newConn(c); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = l.conn.SetDeadline(deadline)
	}
	l.in = bufio.NewReader(l.conn)
	return err
}

func (l *Loop) hangUp() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}
