package dpop

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Replays remembers proofs until they are too old to be used, so that each is used
// once. It is safe for concurrent use.
type Replays struct {
	most int

	mu      sync.Mutex
	seen    map[proofID]struct{}
	endsAt  map[int64][]proofID // by when they are forgotten, seconds since 1970
	cleaned int64               // all that end before are forgotten
}

// proofID stands for a key's jti.
type proofID [16]byte

// NewReplays returns a memory of that many proofs, which take some 100 bytes each.
func NewReplays(most int) *Replays {
	return &Replays{most: most, seen: make(map[proofID]struct{}), endsAt: make(map[int64][]proofID)}
}

// use notes a proof until then. It reports whether the proof is fresh, and whether
// there was room for it.
func (r *Replays) use(thumbprint, jti string, until, now time.Time) (fresh, room bool) {
	sum := sha256.Sum256([]byte(thumbprint + "." + jti)) // a thumbprint has no dot
	id := proofID(sum[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now.Unix())
	if _, seen := r.seen[id]; seen {
		return false, true
	}
	if len(r.seen) >= r.most {
		return true, false
	}
	end := until.Unix() + 1
	r.seen[id] = struct{}{}
	r.endsAt[end] = append(r.endsAt[end], id)
	return true, true
}

// forget drops what ends before now. A clock that jumps has as many seconds to be
// looked at as there are, and no more.
func (r *Replays) forget(now int64) {
	if now <= r.cleaned {
		return
	}
	if now-r.cleaned > int64(len(r.endsAt)) {
		for end := range r.endsAt {
			r.drop(end, now)
		}
	} else {
		for end := r.cleaned; end < now; end++ {
			r.drop(end, now)
		}
	}
	r.cleaned = now
}

func (r *Replays) drop(end, now int64) {
	if end >= now {
		return
	}
	for _, id := range r.endsAt[end] {
		delete(r.seen, id)
	}
	delete(r.endsAt, end)
}
