package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"kong-go-jwt/plugin"
)

// Options say what is looked up in.
type Options struct {
	// Use is auto: the node's own store where that is, else the Admin API; or node,
	// admin or none.
	Use   string
	Node  NodeOptions
	Admin AdminOptions // URL "": none
	// QueryRate is how many unknown keys may be looked up a second in a node's
	// store that has a database.
	QueryRate int

	Log     *slog.Logger
	Metrics Metrics // nil: none
}

// The sources that can be in use.
const (
	usingNode  = "node"
	usingAdmin = "admin"
	usingNone  = "none"
)

// Source looks credentials and consumers up in the source that is in use. It is
// safe for concurrent use.
type Source struct {
	o     Options
	node  *Node  // nil: never
	admin *Admin // nil: never
	using atomic.Pointer[string]

	queries   *Strangers // at the node's database
	strangers *Strangers // at the Admin API
	failing   bool       // changes are not told, which was logged
	refused   string     // why the node's store cannot be used, which was logged
}

var (
	_ plugin.CredentialSource    = (*Source)(nil)
	_ plugin.NamedConsumerSource = (*Source)(nil)
	_ plugin.CustomIDSource      = (*Source)(nil)
)

// New returns a source. The error names the flag at fault.
func New(o Options) (*Source, error) {
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	o.Node.Metrics, o.Admin.Metrics = o.Metrics, o.Metrics
	s := &Source{
		o:         o,
		queries:   NewStrangers(o.QueryRate, o.Node.AtOnce, o.Metrics),
		strangers: NewStrangers(o.Admin.Rate, o.Admin.AtOnce, o.Metrics),
	}
	s.queries.patient = true
	switch o.Use {
	case "auto", usingNode, usingAdmin, usingNone:
	default:
		return nil, fmt.Errorf("-store: must be auto, node, admin or none, not %q", o.Use)
	}
	if o.Use == "auto" || o.Use == usingNode {
		s.node = NewNode(o.Node)
	}
	if o.Use == usingAdmin && o.Admin.URL == "" {
		return nil, errors.New("-store: admin needs -admin-url")
	}
	if o.Admin.URL != "" && (o.Use == "auto" || o.Use == usingAdmin) {
		var err error
		if s.admin, err = NewAdmin(o.Admin); err != nil {
			return nil, fmt.Errorf("-%w", err)
		}
	}
	s.use(s.first())
	return s, nil
}

// first returns what to use before anything was asked.
func (s *Source) first() string {
	_, err := os.Stat(s.o.Node.Socket)
	switch {
	case s.o.Use == usingNode || s.node != nil && err == nil:
		return usingNode
	case s.admin != nil:
		return usingAdmin
	}
	return usingNone
}

func (s *Source) use(source string) {
	if old := s.using.Swap(&source); old != nil && *old == source {
		return
	}
	s.o.Metrics.Using(source)
	s.o.Log.Info("credentials come from", "store", source)
}

func (s *Source) uses(source string) bool { return *s.using.Load() == source }

// Credential implements [plugin.CredentialSource].
func (s *Source) Credential(ctx context.Context, key string) (*plugin.Credential, error) {
	switch *s.using.Load() {
	case usingNode:
		return s.node.Credential(ctx, key)
	case usingAdmin:
		return s.admin.Credential(ctx, key)
	}
	return nil, nil //nolint:nilnil // no error, and nothing found
}

// HasConsumers implements [plugin.NamedConsumerSource].
func (s *Source) HasConsumers() bool { return s.uses(usingNode) }

// ConsumerByName implements [plugin.NamedConsumerSource].
func (s *Source) ConsumerByName(ctx context.Context, idOrUsername string) (*plugin.Consumer, error) {
	if s.node == nil {
		return nil, errors.ErrUnsupported
	}
	return s.node.ConsumerByName(ctx, idOrUsername)
}

// ConsumerByCustomID implements [plugin.CustomIDSource].
func (s *Source) ConsumerByCustomID(ctx context.Context, customID string) (*plugin.Consumer, error) {
	switch *s.using.Load() {
	case usingNode:
		return s.node.ConsumerByCustomID(ctx, customID)
	case usingAdmin:
		return s.admin.ConsumerByCustomID(ctx, customID)
	}
	return nil, errors.New("a consumer cannot be looked up by custom_id: -store is none")
}

// Admit is plugin's Options.Admit. It bounds the lookups that anyone can cause by
// making keys up, where they cost something.
func (s *Source) Admit(ctx context.Context, key string) (done func(), err error) {
	switch *s.using.Load() {
	case usingNode:
		if s.node.database.Load() {
			return s.queries.Admit(ctx)
		}
	case usingAdmin:
		if s.admin.list(ctx) == nil {
			return s.strangers.Admit(ctx)
		}
	}
	return func() {}, nil
}

// Watch tells to of changes, and chooses anew which source to use when one stops
// working, until ctx is done.
func (s *Source) Watch(ctx context.Context, to Changes) {
	if s.node == nil {
		s.watchAdmin(ctx, to)
		return
	}
	const (
		soon  = 100 * time.Millisecond
		later = time.Second // where another source is in use
	)
	stop := func() {}
	if s.uses(usingNode) {
		to.TrustUntil(time.Now()) // not yet
	} else {
		stop = s.instead(ctx, to)
	}
	for ctx.Err() == nil {
		err := s.node.Watch(ctx, to, func() {
			stop()
			stop = func() {}
			s.use(usingNode)
			s.told(nil)
		})
		if ctx.Err() != nil {
			break
		}
		wait := soon
		switch usable := !errors.Is(err, errNoNode); {
		case !s.uses(usingNode):
			s.unusable(err)
			wait = later
		case usable || s.o.Use == usingNode || s.admin == nil:
			to.TrustUntil(time.Now())
			s.told(err)
		default:
			s.told(err)
			s.unusable(err)
			stop = s.instead(ctx, to)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	stop()
}

// instead uses what there is beside the node's store, until stop is called.
func (s *Source) instead(ctx context.Context, to Changes) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	if s.admin != nil {
		s.use(usingAdmin)
	}
	to.Invalidate()
	go func() {
		defer close(done)
		s.watchAdmin(ctx, to)
	}()
	return func() { cancel(); <-done }
}

// watchAdmin watches the Admin API, or nothing if there is none.
func (s *Source) watchAdmin(ctx context.Context, to Changes) {
	const interval = time.Second
	to.TrustUntil(time.Unix(0, math.MaxInt64)) // credential-ttl bounds what goes unseen
	if s.admin == nil {
		s.told(nil)
		return
	}
	s.admin.Watch(ctx, interval, to, s.told)
}

// unusable tells operators that there is an include that cannot be used.
func (s *Source) unusable(err error) {
	if why := err.Error(); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) && why != s.refused {
		s.refused = why
		s.o.Log.Warn("the node's own store cannot be used", "store", *s.using.Load(), "why", err)
	}
}

// told tells operators whether changes are told; err is why they are not.
func (s *Source) told(err error) {
	s.o.Metrics.Watching(err == nil)
	switch {
	case err != nil && !s.failing:
		s.o.Log.Warn("changes of credentials are not reported: revoking one takes longer", "store", *s.using.Load(), "why", err)
	case err == nil && s.failing:
		s.o.Log.Warn("changes of credentials are reported again", "store", *s.using.Load())
	}
	s.failing = err != nil
}
