package source

import "time"

// ConfirmEvery is confirmEvery, and ListEvery is listEvery.
const (
	ConfirmEvery = confirmEvery
	ListEvery    = listEvery
)

// PollFor has changes waited for as long as that.
func (o NodeOptions) PollFor(limit time.Duration) NodeOptions {
	o.pollLimit = limit
	return o
}
