package pluginserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/wire"
)

// Bounds of what is endless on a real Kong: an event whose connection the
// plugin keeps closing.
const (
	maxTries  = 10_000
	retryTime = 20 * time.Second
	claimTime = 10 * time.Second
)

// ErrExit is returned by a PDK call that ends the request: it has no answer.
var ErrExit = errors.New("the request was ended by kong.response.exit")

// PDK answers the calls of a plugin during one event.
type PDK interface {
	// Call answers method with the encoded result, ErrExit when the request
	// ends here, or another error for what Kong's PDK refuses.
	Call(method string, args []byte) ([]byte, error)
}

// Plugin is a configured plugin, as an instance is started of it. Seq changes
// with every rebuild.
type Plugin struct {
	ID, Name string
	Seq      int64
	Config   []byte
}

// Client is one worker's side of the socket.
type Client struct {
	pool     pool
	stats    *Stats
	log      *nginx.ErrorLog
	onReset  func(plugin string)
	sequence atomic.Int64

	mu        sync.Mutex
	instances map[string]*instance
}

// instance is a running instance, or the claim of a goroutine that is starting
// one.
type instance struct {
	id      int32
	seq     int64
	plugin  string
	started chan struct{} // closed when the start is over
}

// NewClient makes a client. onReset is called when the instances of a plugin
// are to be forgotten by all workers.
func NewClient(socket string, stats *Stats, onReset func(string), log *nginx.ErrorLog) *Client {
	c := &Client{stats: stats, log: log, onReset: onReset, instances: map[string]*instance{}}
	c.pool.socket, c.pool.stats = socket, stats
	c.sequence.Store(1)
	return c
}

// Close drops the idle connections.
func (c *Client) Close() { c.pool.close() }

// Event runs one phase of a plugin. It returns nil when the plugin let the
// request pass, ErrExit when it ended it, and any other error for a 500.
func (c *Client) Event(ctx context.Context, p Plugin, phase string, pdk PDK) error {
	deadline := time.Now().Add(retryTime)
	for try := 1; ; try++ {
		id, err := c.instance(p)
		if err != nil {
			return err
		}
		c.stats.Events.Add(1)
		sequence := c.sequence.Add(1)
		_, err = c.call(sequence, wire.HandleEvent(sequence, id, phase), pdk)
		if err == nil || !errors.Is(err, io.EOF) {
			return err
		}
		// A connection closed in the middle of an event: Kong forgets the
		// instances and begins anew, at once and without end.
		c.onReset(p.Name)
		c.stats.Retries.Add(1)
		if try == 1 {
			c.log.Printf(nginx.Warn, "closed: %s closed the connection in the middle of an event", p.Name)
		}
		if try >= maxTries || time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s keeps closing the connection: gave up after %d tries", p.Name, try)
		}
	}
}

// Forget drops the instances of a plugin.
func (c *Client) Forget(plugin string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, i := range c.instances {
		if i.plugin == plugin {
			delete(c.instances, key)
		}
	}
}

// instance returns the id of the running instance of p, starting one first
// where there is none or an old one.
func (c *Client) instance(p Plugin) (int32, error) {
	deadline := time.NewTimer(claimTime)
	defer deadline.Stop()
	c.mu.Lock()
	i := c.instances[p.ID]
	for i != nil && i.started != nil {
		started := i.started
		c.mu.Unlock()
		select {
		case <-started:
		case <-deadline.C:
			return 0, fmt.Errorf("could not claim instance_id for %s", p.Name)
		}
		c.mu.Lock()
		i = c.instances[p.ID]
	}
	if i != nil && i.seq == p.Seq {
		id := i.id
		c.mu.Unlock()
		return id, nil
	}
	hadOld, old := i != nil, int32(0)
	if hadOld {
		old = i.id
	} else {
		i = &instance{}
		c.instances[p.ID] = i
	}
	started := make(chan struct{})
	i.started = started
	c.mu.Unlock()

	c.stats.Starts.Add(1)
	sequence := c.sequence.Add(1)
	ret, err := c.call(sequence, wire.StartInstance(sequence, p.Name, p.Config), nil)
	c.mu.Lock()
	i.started = nil
	close(started)
	if err != nil {
		if c.instances[p.ID] == i {
			delete(c.instances, p.ID)
		}
		c.mu.Unlock()
		return 0, fmt.Errorf("starting instance: %w", noRetry(err))
	}
	i.id, i.seq, i.plugin = ret.Instance, p.Seq, p.Name
	c.mu.Unlock()
	if hadOld {
		c.stats.Closes.Add(1)
		sequence := c.sequence.Add(1)
		if _, err := c.call(sequence, wire.CloseInstance(sequence, old), nil); err != nil {
			c.log.Printf(nginx.Debug, "closing instance %d: %v", old, err)
		}
	}
	return ret.Instance, nil
}

// noRetry takes the EOF out of err: a start that fails is not tried again.
func noRetry(err error) error {
	return errors.New(err.Error())
}

// call sends one RpcCall and serves PDK calls (of an event) until the
// RpcReturn comes.
func (c *Client) call(sequence int64, message []byte, pdk PDK) (wire.Return, error) {
	k, err := c.pool.get()
	if err != nil {
		return wire.Return{}, fmt.Errorf("trying to connect: %w", err)
	}
	ret, err := c.exchange(k, sequence, message, pdk)
	if err != nil {
		k.Close() // the first error tells
		return wire.Return{}, err
	}
	c.pool.put(k)
	return ret, nil
}

func (c *Client) exchange(k *conn, sequence int64, message []byte, pdk PDK) (wire.Return, error) {
	k.SetDeadline(time.Now().Add(ioTimeout)) // a dead connection shows at once
	if err := c.write(k, message); err != nil {
		return wire.Return{}, err
	}
	for pdk != nil {
		method, err := c.read(k)
		if err != nil {
			return wire.Return{}, err
		}
		if len(method) == 0 {
			break
		}
		args, err := c.read(k)
		if err != nil {
			return wire.Return{}, err
		}
		c.stats.call(string(method))
		answer, err := pdk.Call(string(method), args)
		if errors.Is(err, ErrExit) {
			return wire.Return{}, err
		}
		if err != nil {
			return wire.Return{}, fmt.Errorf("%s: %w", method, noRetry(err))
		}
		if err := c.write(k, answer); err != nil {
			return wire.Return{}, noRetry(err)
		}
	}
	data, err := c.read(k)
	if err != nil {
		return wire.Return{}, err
	}
	ret, err := wire.DecodeReturn(data)
	if err != nil {
		return wire.Return{}, err
	}
	if ret.Sequence != sequence {
		return wire.Return{}, fmt.Errorf("the answer has sequence %d, not %d", ret.Sequence, sequence)
	}
	return ret, nil
}

func (c *Client) read(k *conn) ([]byte, error) {
	c.stats.FramesIn.Add(1)
	data, err := wire.ReadFrame(k.r)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // "closed" to Kong, wherever in a frame it happens
	}
	return data, err
}

func (c *Client) write(k *conn, data []byte) error {
	c.stats.FramesOut.Add(1)
	return wire.WriteFrame(k, data)
}
