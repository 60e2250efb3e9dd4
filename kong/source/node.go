package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"kong-go-jwt/plugin"
)

// NodeVersion is the version of the include's server that a [Node] can ask.
const NodeVersion = "1"

// NodeSocket is where the include has nginx listen, with Kong's prefix directory.
func NodeSocket(prefix string) string { return filepath.Join(prefix, "sockets", "go-jwt") }

// NodeOptions say where the node's own store is.
type NodeOptions struct {
	Socket string // see NodeSocket
	// Timeout bounds each request, with the wait for a connection.
	Timeout time.Duration
	// AtOnce is how many requests may be under way.
	AtOnce int

	Metrics Metrics // nil: none

	pollLimit time.Duration // 0: pollLimit
}

// Node looks credentials and consumers up in the store of the Kong node that has
// started this process, by the server in the nginx include. It works wherever
// Kong does: without a database, with one, on a data plane. It is safe for
// concurrent use.
type Node struct {
	o        NodeOptions
	lookups  *http.Client
	watching *http.Client // which needs a connection at any time
	// database tells that a lookup of an unknown key is a query.
	database atomic.Bool
}

var (
	_ plugin.CredentialSource    = (*Node)(nil)
	_ plugin.NamedConsumerSource = (*Node)(nil)
	_ plugin.CustomIDSource      = (*Node)(nil)
)

const (
	// maxNodeKey is the longest key that is asked for, in bytes as encoded: the
	// include lets nginx take a request line of 32 KiB.
	maxNodeKey = 30 << 10
	// pollLimit is for how long an answer about changes is waited for. The server
	// gives one after a second at the latest.
	pollLimit = 2 * time.Second
	// trust is for how long after such an answer changes count as told: as long as
	// something is good while they are not (plugin's Store.TrustUntil).
	trust = 1800 * time.Millisecond
)

// errNoNode is that the node's store is not there, or cannot be used: asking again
// soon is of no use.
var errNoNode = errors.New("node's store")

// NewNode returns a client.
func NewNode(o NodeOptions) *Node {
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.pollLimit == 0 {
		o.pollLimit = pollLimit
	}
	n := &Node{o: o, lookups: unixClient(o.Socket, o.AtOnce), watching: unixClient(o.Socket, 1)}
	n.database.Store(true) // until it says otherwise
	return n
}

func unixClient(socket string, conns int) *http.Client {
	var d net.Dialer
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
			MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns, IdleConnTimeout: 30 * time.Second,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Credential implements [plugin.CredentialSource].
func (n *Node) Credential(ctx context.Context, key string) (*plugin.Credential, error) {
	var j jwtSecret
	found, err := n.get(ctx, "/jwt_secrets", "key", key, &j)
	if err != nil || !found {
		return nil, err
	}
	c, err := j.credential()
	if err != nil {
		return nil, err
	}
	if c.Key != key {
		return nil, errors.New("node's store: answer is about another key")
	}
	return c, nil
}

// HasConsumers implements [plugin.NamedConsumerSource].
func (n *Node) HasConsumers() bool { return true }

// ConsumerByName implements [plugin.NamedConsumerSource].
func (n *Node) ConsumerByName(ctx context.Context, idOrUsername string) (*plugin.Consumer, error) {
	if isUUID.MatchString(idOrUsername) {
		c, err := n.consumer(ctx, "id", idOrUsername)
		if err != nil || c != nil {
			return c, err
		}
	}
	return n.consumer(ctx, "username", idOrUsername)
}

// ConsumerByCustomID implements [plugin.CustomIDSource].
func (n *Node) ConsumerByCustomID(ctx context.Context, customID string) (*plugin.Consumer, error) {
	return n.consumer(ctx, "custom_id", customID)
}

func (n *Node) consumer(ctx context.Context, by, value string) (*plugin.Consumer, error) {
	var c consumer
	found, err := n.get(ctx, "/consumers", by, value, &c)
	if err != nil || !found {
		return nil, err
	}
	if is := map[string]string{"id": strings.ToLower(c.ID), "username": c.Username, "custom_id": c.CustomID}[by]; c.ID == "" ||
		is != value && (by != "id" || is != strings.ToLower(value)) {
		return nil, errors.New("node's store: answer is about another consumer")
	}
	return c.plugin(), nil
}

// get asks for one row. It reports false where there is none.
func (n *Node) get(ctx context.Context, path, field, value string, to any) (found bool, err error) {
	began := time.Now()
	defer func() { n.o.Metrics.LookedUp(time.Since(began), found, err) }()
	query := field + "=" + url.QueryEscape(value)
	if value == "" || len(query) > maxNodeKey || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return false, nil // no database can hold it
	}
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	return n.ask(ctx, n.lookups, path+"?"+query, to)
}

// ask asks for a path and decodes the answer. It reports false where there is
// nothing. Errors hold nothing that was asked for.
func (n *Node) ask(ctx context.Context, by *http.Client, path string, to any) (found bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://go-jwt"+path, http.NoBody)
	if err != nil {
		return false, errors.New("node's store: the value cannot be looked up")
	}
	answer, err := by.Do(r)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the URL
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrPermission) {
			return false, fmt.Errorf("%w: %w", errNoNode, err)
		}
		return false, fmt.Errorf("node's store: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch version := answer.Header.Get("X-Go-Jwt-Store"); {
	case err != nil:
		return false, fmt.Errorf("node's store: %w", err)
	case version != NodeVersion:
		return false, fmt.Errorf("%w: its include has version %q, not %s: make a new one with go-jwt -nginx-conf", errNoNode, version, NodeVersion)
	case len(body) > maxAnswer:
		return false, errors.New("node's store: answer is too long")
	}
	switch answer.StatusCode {
	case http.StatusOK:
		if json.Unmarshal(body, to) != nil {
			return false, errors.New("node's store: answer cannot be read")
		}
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	var why struct{ Message string }
	_ = json.Unmarshal(body, &why) // or it has none
	if answer.StatusCode == http.StatusNotImplemented {
		return false, fmt.Errorf("%w: %s", errNoNode, clip(why.Message))
	}
	return false, fmt.Errorf("node's store: status %d: %s", answer.StatusCode, clip(why.Message))
}

func clip(text string) string {
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// Changes is told of changes. It is safe for concurrent use.
type Changes interface {
	// Invalidate: anything may have changed.
	Invalidate()
	InvalidateCredential(key string)
	InvalidateConsumer(idOrUsername string)
	// TrustUntil: all changes until then will have been told.
	TrustUntil(time.Time)
}

// told is an answer about changes.
type told struct {
	Worker   string
	At       uint64
	All      bool
	Changes  []string
	Database string
}

// Watch tells to of changes until ctx is done or it fails, which it returns. It
// calls up when it has begun to.
func (n *Node) Watch(ctx context.Context, to Changes, up func()) error {
	const pause = 20 * time.Millisecond // a worker that has to exit answers at once
	var last told
	for first := true; ; first = false {
		query := url.Values{"worker": {last.Worker}, "since": {fmt.Sprint(last.At)}}
		next, asked := told{}, time.Now()
		polling, cancel := context.WithTimeout(ctx, n.o.pollLimit)
		found, err := n.ask(polling, n.watching, "/changes?"+query.Encode(), &next)
		cancel()
		if err == nil && (!found || next.Worker == "") {
			err = errors.New("node's store: answer cannot be read")
		}
		if err != nil {
			return err
		}
		n.database.Store(next.Database != "off")
		switch {
		case first:
			up()
			to.Invalidate()
		case next.All || next.Worker != last.Worker:
			if next.Worker == last.Worker {
				n.o.Metrics.Configured()
			}
			to.Invalidate()
		}
		for _, name := range next.Changes {
			tell(to, name)
		}
		to.TrustUntil(time.Now().Add(trust))
		if last = next; len(next.Changes) == 0 && !next.All && time.Since(asked) < pause {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// tell tells to of what has changed, by its name in Kong's cache: an entity, a
// key, four more parts that neither entity has, and a workspace, with colons
// between them (DAO:cache_key, kong/db/dao/init.lua). The key may hold colons.
func tell(to Changes, name string) {
	entity, rest, _ := strings.Cut(name, ":")
	workspace := strings.LastIndexByte(rest, ':')
	key, ok := "", false
	if workspace >= 0 {
		key, ok = strings.CutSuffix(rest[:workspace], "::::")
	}
	switch {
	case !ok || strings.ContainsRune(key, utf8.RuneError): // no name, or one that JSON cannot hold
		to.Invalidate()
	case entity == "jwt_secrets":
		to.InvalidateCredential(key)
	case entity == "consumers":
		to.InvalidateConsumer(key)
	}
}
