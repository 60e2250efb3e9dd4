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
	"io"
	"math"
	"net"
	"net/http"
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
	limit *io.LimitedReader
	in    *bufio.Reader
	out   *bufio.Writer
	event bytes.Buffer
}

const (
	maxHead  = 64 << 10 // of an answer of the Runtime API, in bytes
	outBytes = 16 << 10 // an answer to API Gateway goes out in one write
)

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
	head, err := l.exchange(ctx, http.MethodGet, "invocation/next", nil)
	if err != nil {
		return err
	}
	id := head.Get("Lambda-Runtime-Aws-Request-Id")
	if id == "" {
		return errors.New("an event has no request ID")
	}
	path := "invocation/" + url.PathEscape(id)
	answer, err := l.invoke(ctx, id, head)
	if err != nil {
		_, err = l.exchange(ctx, http.MethodPost, path+"/error", failure(err))
		return err
	}
	_, err = l.exchange(ctx, http.MethodPost, path+"/response", answer)
	return err
}

// invoke hands the event to the handler.
func (l *Loop) invoke(ctx context.Context, id string, head http.Header) ([]byte, error) {
	if ms, err := strconv.ParseInt(head.Get("Lambda-Runtime-Deadline-Ms"), 10, 64); err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.UnixMilli(ms))
		defer cancel()
	}
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{
		AwsRequestID: id, InvokedFunctionArn: head.Get("Lambda-Runtime-Invoked-Function-Arn"),
	})
	return l.Handler.Invoke(ctx, l.event.Bytes())
}

// FailInit tells that the function cannot start.
func FailInit(ctx context.Context, address string, why error) error {
	l := &Loop{Address: address}
	defer l.hangUp()
	_, err := l.exchange(ctx, http.MethodPost, "init/error", failure(why))
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
func (l *Loop) exchange(ctx context.Context, method, path string, body []byte) (http.Header, error) {
	for {
		kept := l.conn != nil
		if !kept {
			if err := l.dial(ctx); err != nil {
				return nil, err
			}
		}
		answer, err := l.roundTrip(ctx, method, path, body)
		if err == nil {
			if answer.Close {
				l.hangUp()
			}
			if answer.StatusCode/100 != 2 {
				return nil, fmt.Errorf("%s %s: status %d", method, path, answer.StatusCode)
			}
			return answer.Header, nil
		}
		l.hangUp()
		if !kept || !errors.Is(err, errHungUp) {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
}

func (l *Loop) roundTrip(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+l.Address+"/2018-06-01/runtime/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	_ = r.Write(l.out) // as Flush tells
	if err := l.out.Flush(); err != nil {
		return nil, errHungUp
	}
	l.limit.N = maxHead
	if _, err := l.in.Peek(1); err != nil {
		return nil, errHungUp
	}
	answer, err := http.ReadResponse(l.in, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // which has been read
	l.limit.N = math.MaxInt64
	l.event.Reset()
	if _, err := l.event.ReadFrom(io.LimitReader(answer.Body, l.MaxEvent+1)); err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer, err
}

func (l *Loop) dial(ctx context.Context) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.Address)
	if err != nil {
		return err
	}
	if l.conn, err = newConn(c); err != nil {
		return err
	}
	l.limit = &io.LimitedReader{R: l.conn}
	l.in, l.out = bufio.NewReader(l.limit), bufio.NewWriterSize(l.conn, outBytes)
	return nil
}

func (l *Loop) hangUp() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}
