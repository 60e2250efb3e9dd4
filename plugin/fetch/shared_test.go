package fetch_test

import (
	"slices"
	"testing"

	"kong-go-jwt/plugin/fetch"
)

// What two use is opened once, and stopped when the second is done with it, however
// often the first one says so.
func TestShared(t *testing.T) {
	t.Parallel()
	var s fetch.Shared[string, int]
	var told []string
	open := func(bool) (int, func()) {
		told = append(told, "opened")
		return len(told), func() { told = append(told, "stopped") }
	}
	first, release1 := s.Open("a", open)
	second, release2 := s.Open("a", open)
	if all := s.All(); first != second || len(all) != 1 || all["a"] != first {
		t.Fatalf("got %d and %d, and of all %v, want one value", first, second, all)
	}
	release1()
	release1()
	if len(s.All()) != 1 {
		t.Error("stopped while it is used")
	}
	release2()
	if want := []string{"opened", "stopped"}; !slices.Equal(told, want) || len(s.All()) != 0 {
		t.Errorf("got %v, want %v", told, want)
	}
}

// Close stops what is open, waits for the work, and has later users told.
func TestSharedClose(t *testing.T) {
	t.Parallel()
	var s fetch.Shared[string, int]
	stopped, ended := make(chan struct{}), false
	s.Open("a", func(bool) (int, func()) { return 0, func() { close(stopped) } })
	s.Go(func() {
		<-stopped
		ended = true
	})
	s.Close()
	if !ended {
		t.Error("did not wait for the work")
	}
	told := false
	s.Open("b", func(closed bool) (int, func()) {
		told = closed
		return 0, func() {}
	})
	if !told {
		t.Error("what was opened after Close was not told")
	}
}
