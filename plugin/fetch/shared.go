package fetch

import "sync"

// Shared has those who use the same document share what keeps it fresh, which is
// opened for the first of them and stopped after the last. The zero value is ready
// for use. It is safe for concurrent use.
type Shared[K comparable, V any] struct {
	running sync.WaitGroup

	mu     sync.Mutex
	opened map[K]*used[V]
	closed bool
}

type used[V any] struct {
	value V
	stop  func()
	users int
}

// Open returns the value of that key, and what its user must call when done with it;
// only the first call counts. If nobody uses it yet, open makes it, and returns what
// stops it too. closed tells open that Close was called, so that nothing may be begun.
func (s *Shared[K, V]) Open(key K, open func(closed bool) (value V, stop func())) (value V, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.opened[key]
	if u == nil {
		u = new(used[V])
		u.value, u.stop = open(s.closed)
		if s.opened == nil {
			s.opened = make(map[K]*used[V])
		}
		s.opened[key] = u
	}
	u.users++
	return u.value, sync.OnceFunc(func() { s.release(key, u) })
}

func (s *Shared[K, V]) release(key K, u *used[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.users--; u.users == 0 {
		u.stop()
		delete(s.opened, key)
	}
}

// Go runs work that Close waits for.
func (s *Shared[K, V]) Go(work func()) { s.running.Go(work) }

// Close stops all that is open, and waits until the work has ended.
func (s *Shared[K, V]) Close() {
	s.mu.Lock()
	s.closed = true
	for _, u := range s.opened {
		u.stop()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// All returns what is open.
func (s *Shared[K, V]) All() map[K]V {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[K]V, len(s.opened))
	for key, u := range s.opened {
		all[key] = u.value
	}
	return all
}
