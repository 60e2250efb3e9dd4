package dpop

// Fault is why a proof is refused. It is a value, and holds nothing of the proof.
type Fault struct {
	Kind Kind
	What string // in words, for the client
}

// Kind is what a fault means to the client.
type Kind string

// The kinds of fault.
const (
	Invalid  Kind = "invalid"   // the proof is none, or not of this request
	WrongKey Kind = "wrong_key" // it is of another key than the token's
	Stale    Kind = "stale"     // it is too old, or of the future
	Replayed Kind = "replayed"  // it was used before
	NoNonce  Kind = "nonce"     // it does not hold a nonce that is good
	Full     Kind = "full"      // it cannot be told whether it was used before
)

func fault(what string) *Fault { return &Fault{Invalid, what} }
