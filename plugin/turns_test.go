package plugin_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"kong-go-jwt/plugin"
)

// Who waits for its turn in vain, because of the time or of the request's end, is
// told; a turn that is given back goes to the next.
func TestTurns(t *testing.T) {
	take, n := plugin.Turns()
	var dones []func()
	for range n {
		done, err := take(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		dones = append(dones, done)
	}
	if most := max(1, runtime.GOMAXPROCS(0)-1); n != most {
		t.Errorf("%d turns, want %d: a processor is left for what is quick", n, most)
	}
	if _, err := take(t.Context(), time.Millisecond); err == nil {
		t.Errorf("more than %d turns at once", n)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := take(ended, time.Minute); err == nil {
		t.Error("a turn for a request that has ended")
	}
	time.AfterFunc(time.Millisecond, dones[0])
	if _, err := take(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
}
