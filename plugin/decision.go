package plugin

import (
	"crypto/sha256"
	"math"
	"time"

	"github.com/jellydator/ttlcache/v3"
)

// decisionKey says for which token, and under which configuration, a decision
// was made.
type decisionKey struct {
	token  [sha256.Size]byte
	engine uint64
}

// decision is an accepted token. Everything it rests on is held against the
// clock at each use, so that it never outlives any of it.
type decision struct {
	credential *entry[knownCredential] // one of these two
	key        *PublishedKey
	consumer   *entry[Consumer] // nil: none
	unmatched  bool             // one was looked for in vain
	size       uint32           // see decisions
	epoch      uint64           // of consumers, then
	// revocations is the generation of the lists that it was held against.
	revocations uint64
	validity    validity
	bound       *binding // nil: to nothing that is looked at
	until       int64    // nanoseconds since 1970: cache_ttl, or exp if that is sooner
	answer      *Answer  // what is given: one of these two
	asserted    *asserted
}

func (s *Store) good(d *decision, now time.Time) bool {
	trusted := s.trusted(now)
	return now.UnixNano() < d.until &&
		d.validity.holds(wholeSeconds(now)) &&
		(d.credential == nil || d.credential.good(now, trusted)) &&
		(d.key == nil || d.key.good(now)) &&
		(d.consumer == nil || d.consumer.good(now, trusted)) &&
		(!d.unmatched || trusted && d.epoch == s.consumerEpoch.Load())
}

// decisionShards is how many locks the decisions are spread over: ttlcache has
// one, which docs/performance.md shows under load.
const decisionShards = 16

// What a decision takes of the heap, in bytes. It is counted as if it shared
// nothing with another one, or those that are left of many that do would be
// remembered for next to nothing.
const (
	decisionSize = 512  // but for its answer
	assertedSize = 2560 // more for the caller, the grant and the assertion, but for what they hold
	// maxDecision is the most that is remembered: one token is not worth more.
	maxDecision = 32 << 10
)

// sizeOf returns what d takes.
func sizeOf(d *decision) int {
	if d.asserted == nil {
		return decisionSize + len(d.answer.Bytes)
	}
	// Kept as what it is minted from, in the assertion as base64 and in the answer.
	return decisionSize + assertedSize + 4*d.asserted.size()
}

// decisions remembers accepted tokens, up to a number and what they take together
// (sizeOf). It is safe for concurrent use.
type decisions struct {
	shards [decisionShards]*ttlcache.Cache[decisionKey, *decision]
}

func newDecisions(entries, bytes int) *decisions {
	d := new(decisions)
	for i := range d.shards {
		d.shards[i] = ttlcache.New(
			ttlcache.WithCapacity[decisionKey, *decision](uint64(max(1, entries/decisionShards))),
			ttlcache.WithMaxCost(uint64(max(maxDecision, bytes/decisionShards)), func(item ttlcache.CostItem[decisionKey, *decision]) uint64 {
				return uint64(item.Value.size)
			}),
			ttlcache.WithDisableTouchOnHit[decisionKey, *decision](),
		)
		go d.shards[i].Start()
	}
	return d
}

func (d *decisions) close() {
	for _, s := range d.shards {
		s.Stop()
	}
}

func (d *decisions) shard(k decisionKey) *ttlcache.Cache[decisionKey, *decision] {
	return d.shards[k.token[0]%decisionShards]
}

func (d *decisions) get(k decisionKey) *decision {
	if item := d.shard(k).Get(k); item != nil {
		return item.Value()
	}
	return nil
}

// put remembers a decision for at most ttl, and not beyond the token's exp
// (seconds since 1970; +Inf: none). A large one is not remembered.
func (d *decisions) put(k decisionKey, v *decision, now time.Time, ttl time.Duration, exp float64) {
	if left := exp - wholeSeconds(now); left < ttl.Seconds() {
		ttl = time.Duration(math.Max(0, left) * float64(time.Second))
	}
	size := sizeOf(v)
	if ttl <= 0 || size > maxDecision {
		return
	}
	v.size = uint32(size)
	v.until = now.Add(ttl).UnixNano()
	d.shard(k).Set(k, v, ttl)
}
