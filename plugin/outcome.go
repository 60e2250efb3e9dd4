package plugin

// Outcome says what becomes of a request: it is refused if Refusal is not nil,
// answered if Reply is not, and else goes on to the upstream.
type Outcome struct {
	// Refusal is the answer to the client.
	Refusal *Refusal
	// Fault, with a Refusal, is what went wrong on this side.
	Fault error
	// Warning is what somebody has to mend, though the request was decided; nil:
	// nothing.
	Warning error
	// Shadowed is the refusal that Config.Shadow has kept from the client.
	Shadowed *Refusal
	// Log, with a Refusal, is what is to be logged of it; nil: nothing.
	Log   *Log
	facts facts // of the token

	// Answer is what the request is given, encoded.
	Answer Answer
	// Token is the accepted token, to be shared with other plugins; nil if there
	// is none to share. It aliases the Request.
	Token []byte
	// DPoPNonce is what the client is told, beside the upstream's answer, to use in its
	// next proofs (RFC 9449 section 8.2); "": nothing.
	DPoPNonce string
	// Hidden is what the request must look like instead; nil: as it is.
	Hidden *Hidden
	// Reply, if not nil, answers the client, who is not refused.
	Reply *Reply
	// Kind says what Answer means.
	Kind Kind
}

// Kind is how a request that is not refused goes on.
type Kind string

// The kinds of outcome.
const (
	Accepted     Kind = "accepted"     // its token is good
	Remembered   Kind = "remembered"   // its token was found good before
	Anonymous    Kind = "anonymous"    // as the anonymous consumer
	Unidentified Kind = "unidentified" // as nobody: a preflight, or shadowed
	Aside        Kind = "aside"        // as whom another plugin has found
	Replied      Kind = "replied"      // not at all: Reply is its answer
)
