package source

import "time"

// Metrics are told what a source does. They are safe for concurrent use.
type Metrics interface {
	// LookedUp counts a request for a credential or consumer.
	LookedUp(took time.Duration, found bool, err error)
	// NotAdmitted counts a lookup that was not made, for there were too many.
	NotAdmitted()
	// Configured counts a declarative configuration that Kong has loaded.
	Configured()
	// Using tells which source is in use: node, admin or none.
	Using(source string)
	// Watching tells whether it is told of changes at the moment.
	Watching(told bool)
}

type noMetrics struct{}

func (noMetrics) LookedUp(time.Duration, bool, error) {}
func (noMetrics) NotAdmitted()                        {}
func (noMetrics) Configured()                         {}
func (noMetrics) Using(string)                        {}
func (noMetrics) Watching(bool)                       {}
