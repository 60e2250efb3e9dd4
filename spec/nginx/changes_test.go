package nginx_test

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// name is what an entity is called in Kong's cache.
func name(entity, key string) string { return entity + ":" + key + ":::::" + workspace }

// next polls until changes are told, or all of them.
func (c *conn) next(t testing.TB, after changes) changes {
	t.Helper()
	var next changes
	eventually(t, "changes are told", func() bool {
		next = c.mustPoll(t, after)
		return next.All || next.Changes != nil || next.At != after.At
	})
	return next
}

func TestFirstPoll(t *testing.T) {
	n := startNode(t)
	conns, at := n.bothWorkers(t)
	for i, c := range conns {
		if want := (changes{Worker: at[i].Worker, Database: "off", All: true}); !reflect.DeepEqual(at[i], want) || at[i].Worker == "" {
			t.Errorf("first %+v", at[i])
		}
		// The number of another worker is of no use, nor is one that is yet to come.
		for _, after := range []changes{at[1-i], {Worker: at[i].Worker, At: 1}, {Worker: "x"}} {
			if got := c.mustPoll(t, after); !got.All || got.Changes != nil || got.Worker != at[i].Worker {
				t.Errorf("after %+v: %+v", after, got)
			}
		}
	}
	n.set(t, "database", "postgres")
	if got := conns[0].mustPoll(t, changes{}); got.Database != "postgres" {
		t.Errorf("%+v", got)
	}
}

// Without a change a poll ends too, and says that there is none.
func TestPollEnds(t *testing.T) {
	n := startNode(t)
	c := n.store(t)
	first := c.mustPoll(t, changes{})
	if got, want := c.mustPoll(t, first), (changes{Worker: first.Worker, Database: "off"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestChangesAreTold(t *testing.T) {
	n := startNode(t)
	n.change(t, "jwt_secrets", credential("changed"))
	n.change(t, "consumers", alice)
	conns, at := n.bothWorkers(t)
	n.order(t, object{"do": "purge"}) // after which these are no news
	for i, c := range conns {
		for !at[i].All || at[i].At == 0 {
			at[i] = c.next(t, at[i])
		}
	}
	renamed := object{"id": aliceID, "username": "alicia"}
	for _, tt := range []struct {
		what  string
		order object
		want  []string // sorted; nil: all
	}{
		{"created", object{"do": "change", "entity": "jwt_secrets", "row": object{"id": bobID, "key": "created"}}, []string{name("jwt_secrets", "created")}},
		{
			"another key",
			object{"do": "change", "entity": "jwt_secrets", "row": credential("a:b::")},
			[]string{name("jwt_secrets", "a:b::"), name("jwt_secrets", "changed")},
		},
		{"deleted", object{"do": "change", "entity": "jwt_secrets", "row": credential("a:b::"), "delete": true}, []string{name("jwt_secrets", "a:b::")}},
		{"UTF-8", object{"do": "invalidate", "key": name("jwt_secrets", "鍵")}, []string{name("jwt_secrets", "鍵")}},
		{
			"another username",
			object{"do": "change", "entity": "consumers", "row": renamed},
			[]string{name("consumers", aliceID), name("consumers", "alice"), name("consumers", "alicia")},
		},
		{"purge", object{"do": "purge"}, nil},
		{"after a purge", object{"do": "invalidate", "key": name("consumers", bobID)}, []string{name("consumers", bobID)}},
		{"a name of 1 KiB", object{"do": "invalidate", "key": name("jwt_secrets", strings.Repeat("k", 1024-53))}, []string{name("jwt_secrets", strings.Repeat("k", 1024-53))}},
		{"a longer name", object{"do": "invalidate", "key": name("jwt_secrets", strings.Repeat("k", 1024-52))}, nil},
	} {
		n.order(t, tt.order)
		for i, c := range conns {
			var told []string
			eventually(t, tt.what+": all are told", func() bool {
				next := c.next(t, at[i])
				at[i] = next
				told = append(told, next.Changes...)
				return next.All || len(told) >= len(tt.want)
			})
			slices.Sort(told)
			slices.Sort(tt.want)
			if at[i].All != (tt.want == nil) || !slices.Equal(told, tt.want) {
				t.Errorf("%s: told %q, %+v", tt.what, told, at[i])
			}
		}
	}
	// What neither a credential nor a consumer is, is not told.
	n.order(t, object{"do": "invalidate", "key": name("acls", aliceID)})
	n.order(t, object{"do": "invalidate", "key": name("jwt_secrets", "last")})
	if got := conns[0].next(t, at[0]); !slices.Equal(got.Changes, []string{name("jwt_secrets", "last")}) {
		t.Errorf("%+v", got)
	}
}

// So many changes are remembered that polls that come late are told all of them,
// by name or not.
func TestPollComesLate(t *testing.T) {
	const remembered = 1000
	n := startNode(t)
	c := n.store(t)
	first := c.mustPoll(t, changes{})
	n.order(t, object{"do": "invalidate", "key": name("jwt_secrets", "%n"), "times": remembered})
	var got changes
	eventually(t, "all are remembered", func() bool {
		got = c.mustPoll(t, first)
		return got.At == remembered
	})
	if got.All || len(got.Changes) != remembered {
		t.Fatalf("all %v, %d changes", got.All, len(got.Changes))
	}
	for i, told := range got.Changes {
		if want := name("jwt_secrets", fmt.Sprint(i+1)); told != want {
			t.Fatalf("change %d: %s", i, told)
		}
	}
	n.order(t, object{"do": "invalidate", "key": name("jwt_secrets", "one more")})
	c.next(t, got)
	if late := c.mustPoll(t, first); !late.All || late.Changes != nil || late.At != remembered+1 {
		t.Errorf("%+v", late)
	}
	first.At++
	if late := c.mustPoll(t, first); late.All || len(late.Changes) != remembered {
		t.Errorf("all %v, %d changes", late.All, len(late.Changes))
	}
}

// A change wakes each poll that waits for it: they are told of a hundred before
// a hundred of them could have ended by themselves.
func TestChangeWakesPolls(t *testing.T) {
	const rounds, waiting = 100, 8
	n := startNode(t)
	type told struct {
		by  *conn
		at  changes
		err error
	}
	answers := make(chan told)
	var polls [waiting]told
	for i := range polls {
		polls[i].by = n.store(t)
		polls[i].at = polls[i].by.mustPoll(t, changes{})
	}
	began := time.Now()
	for round := range rounds {
		for _, p := range polls {
			go func() {
				next := p.at
				var err error
				for next.At == p.at.At && err == nil {
					next, _, err = p.by.poll(p.at)
				}
				answers <- told{p.by, next, err}
			}()
		}
		n.order(t, object{"do": "invalidate", "key": name("consumers", fmt.Sprint(round))})
		for i := range polls {
			polls[i] = <-answers
			if err := polls[i].err; err != nil {
				t.Fatal(err)
			}
			if got := polls[i].at; !slices.Equal(got.Changes, []string{name("consumers", fmt.Sprint(round))}) {
				t.Fatalf("round %d: %+v", round, got)
			}
		}
	}
	if took := time.Since(began); took > rounds*250*time.Millisecond/2 {
		t.Errorf("%d changes took %v", rounds, took)
	}
}

// A reload ends the polls that wait, and so the old workers; the new ones tell
// that they know nothing of the old numbers.
func TestWorkerExits(t *testing.T) {
	n := startNode(t)
	conns, at := n.bothWorkers(t)
	type end struct {
		changes
		answer
		error
	}
	ends := make(chan end)
	for i, c := range conns {
		go func() {
			for {
				next, a, err := c.poll(at[i])
				if err != nil || a.closed {
					ends <- end{next, a, err}
					return
				}
			}
		}()
	}
	n.cmd.Process.Signal(syscall.SIGHUP)
	for range conns {
		e := <-ends
		if e.error != nil || e.All || e.Changes != nil {
			t.Errorf("%+v", e)
		}
	}
	for i, c := range conns {
		eventually(t, "the old worker is gone", func() bool {
			_, err := os.Stat(fmt.Sprintf("/proc/%d", at[i].pid(t)))
			return os.IsNotExist(err)
		})
		if got := c.mustPoll(t, at[i]); !got.All || got.Worker == at[0].Worker || got.Worker == at[1].Worker {
			t.Errorf("%+v", got)
		}
	}
}
