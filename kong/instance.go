package kong

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/assertion"
	"kong-go-jwt/schema"
)

// instance is a plugin configuration that a Kong worker has started.
type instance struct {
	id      int32
	started time.Time
	engine  *plugin.Engine
	reads   *reads
	shared  *shared

	// variable is what its worker's nginx variable was seen to carry; nil: none was seen
	// yet. Workers from before a reload, which may have another include or none, send a
	// few last events to the new process.
	variable atomic.Pointer[variable]

	// Of one without an engine, which refuses every request: why, and where to mend it;
	// and how often that is told.
	fault []any
	limit limiter
}

const configurationRefused = "configuration refused: every request of this plugin is answered 500"

// shared is what all instances of the same configuration have in common, so
// that each worker profits from what the others have verified.
type shared struct {
	engine *plugin.Engine
	reads  *reads
	users  int
	key    [sha256.Size]byte
	warned map[string]bool // ids of plugins of which the configuration's warnings were told
}

// maxInstances bounds the instances, of which Kong does not close all.
const maxInstances = 1 << 16

// instances are the instances of all workers. They are safe for concurrent use.
type instances struct {
	store *plugin.Store
	log   *slog.Logger
	print *slog.Logger // see Server
	info  func() (*pb.PluginInfo, error)

	byID     sync.Map // int32 → *instance
	mu       sync.Mutex
	next     int32
	n        int
	byConfig map[[sha256.Size]byte]*shared
}

func newInstances(store *plugin.Store, log, print *slog.Logger, info func() (*pb.PluginInfo, error)) *instances {
	return &instances{
		store: store, log: log, print: print, info: info,
		// Ids start anywhere, so that one which a worker still knows from an
		// earlier server process is unlikely to mean another configuration here.
		next:     rand.Int32N(1 << 30), //nolint:gosec // no secret
		byConfig: make(map[[sha256.Size]byte]*shared),
	}
}

func (s *instances) get(id int32) *instance {
	v, ok := s.byID.Load(id)
	if !ok {
		return nil
	}
	in, _ := v.(*instance)
	return in
}

func (s *instances) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// keys returns the public keys of all assertions, in some lasting order.
func (s *instances) keys() (keys []assertion.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range s.byConfig {
		keys = append(keys, sh.engine.Keys()...)
	}
	slices.SortFunc(keys, func(a, b assertion.Key) int { return strings.Compare(a.ID, b.ID) })
	return keys
}

var errCall = errors.New("unknown call")

// call serves every call but events, and returns the encoded RpcReturn.
func (s *instances) call(frame []byte) ([]byte, error) {
	var c pb.RpcCall
	if err := proto.Unmarshal(frame, &c); err != nil {
		return nil, fmt.Errorf("cannot read the call: %w", err)
	}
	answer := &pb.RpcReturn{Sequence: c.Sequence}
	switch call := c.Call.(type) {
	case *pb.RpcCall_CmdGetPluginNames:
		answer.Return = &pb.RpcReturn_PluginNames{PluginNames: &pb.PluginNames{Names: []string{schema.Name}}}
	case *pb.RpcCall_CmdGetPluginInfo:
		info, err := s.info()
		if err != nil {
			return nil, err
		}
		answer.Return = &pb.RpcReturn_PluginInfo{PluginInfo: info}
	case *pb.RpcCall_CmdStartInstance:
		answer.Return = status(s.start(call.CmdStartInstance.GetConfig()))
	case *pb.RpcCall_CmdGetInstanceStatus:
		in := s.get(call.CmdGetInstanceStatus.GetInstanceId())
		if in == nil {
			return nil, fmt.Errorf("no plugin instance %d", call.CmdGetInstanceStatus.GetInstanceId())
		}
		answer.Return = status(in)
	case *pb.RpcCall_CmdCloseInstance:
		id := call.CmdCloseInstance.GetInstanceId()
		s.close(id)
		answer.Return = &pb.RpcReturn_InstanceStatus{InstanceStatus: &pb.InstanceStatus{Name: schema.Name, InstanceId: id}}
	default:
		return nil, errCall
	}
	b, err := proto.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	return b, nil
}

func status(in *instance) *pb.RpcReturn_InstanceStatus {
	return &pb.RpcReturn_InstanceStatus{InstanceStatus: &pb.InstanceStatus{
		Name: schema.Name, InstanceId: in.id, StartedAt: in.started.Unix(),
	}}
}

// start starts an instance. One whose configuration cannot be used is started
// too, without an engine: it refuses every request, while an error here would
// have Kong try again on each.
func (s *instances) start(config []byte) *instance {
	in := &instance{started: time.Now()}
	s.store.Configured()
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	in.shared, err = s.prepare(config)
	if where := placeOf(config); err != nil {
		in.fault, in.reads = append([]any{"why", err}, where.attrs()...), undecided()
		s.print.Error(configurationRefused, in.fault...)
	} else {
		in.engine, in.reads = in.shared.engine, in.shared.reads
		s.warn(in.shared, where)
	}
	for s.next++; s.next <= 0 || s.get(s.next) != nil; s.next++ {
		s.next = max(s.next, 0)
	}
	in.id = s.next
	if s.n >= maxInstances {
		s.evict()
	}
	s.byID.Store(in.id, in)
	s.n++
	return in
}

// warn tells what is questionable in a configuration, once for each plugin that
// has it.
func (s *instances) warn(sh *shared, where place) {
	if sh.warned[where.Plugin] {
		return
	}
	sh.warned[where.Plugin] = true
	c := sh.engine.Config()
	if c.Shadow {
		s.log.Warn("config.shadow is on: nobody is refused, and nothing is protected", where.attrs()...)
	}
	for _, warning := range c.Warnings() {
		s.log.Warn("this configuration may be a mistake", append([]any{"why", warning}, where.attrs()...)...)
	}
}

// place is where in Kong a configuration is, by ids: what Kong adds to it.
type place struct {
	Plugin  string `json:"__plugin_id"`
	Route   string `json:"route_id"`
	Service string `json:"service_id"`
}

// placeOf returns what a configuration tells of its place, of which any part may
// be missing.
func placeOf(config []byte) (p place) {
	_ = json.Unmarshal(config, &p) // what cannot be read is refused elsewhere
	return p
}

func (p place) attrs() (attrs []any) {
	for _, a := range [][2]string{{"plugin", p.Plugin}, {"route", p.Route}, {"service", p.Service}} {
		if a[1] != "" {
			attrs = append(attrs, a[0], a[1])
		}
	}
	return attrs
}

// prepare returns the engine of a configuration.
func (s *instances) prepare(config []byte) (sh *shared, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			sh, err = nil, fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	c, err := schema.Parse(config)
	if err != nil {
		return nil, err
	}
	return s.share(c)
}

// share returns the engine of c, made if there is none yet.
func (s *instances) share(c *schema.Config) (*shared, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	key := sha256.Sum256(text)
	if sh := s.byConfig[key]; sh != nil {
		sh.users++
		return sh, nil
	}
	engine, err := s.store.NewEngine(c)
	if err != nil {
		return nil, err
	}
	sh := &shared{engine: engine, reads: newReads(c), users: 1, key: key, warned: make(map[string]bool)}
	s.byConfig[key] = sh
	return sh, nil
}

// close closes an instance, in a while: a worker that starts another one in its
// place may have events under way that still go to this one.
func (s *instances) close(id int32) {
	const while = 10 * time.Second
	time.AfterFunc(while, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(id)
	})
}

func (s *instances) remove(id int32) {
	v, ok := s.byID.LoadAndDelete(id)
	if !ok {
		return
	}
	s.n--
	if in, _ := v.(*instance); in.shared != nil {
		if in.shared.users--; in.shared.users == 0 {
			delete(s.byConfig, in.shared.key)
			in.shared.engine.Close()
		}
	}
}

// evict removes the instance that was started first. If a worker still uses it,
// that starts it anew.
func (s *instances) evict() {
	var oldest *instance
	s.byID.Range(func(_, v any) bool {
		if in, _ := v.(*instance); oldest == nil || in.started.Before(oldest.started) {
			oldest = in
		}
		return true
	})
	if oldest != nil {
		s.remove(oldest.id)
	}
}
