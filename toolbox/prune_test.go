package toolbox

import (
	"strings"
	"testing"
	"time"
)

// TestE40_WhatExpires: a snapshot goes when one limit lets it go, each toolbox for
// itself, and the way back from the last rollback stays.
func TestE40_WhatExpires(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	var all []*Snapshot
	for name, days := range map[string]int{"a": 1, "b": 2, "c": 3, "d": 40} {
		for _, id := range []string{"1", "2"} {
			all = append(all, &Snapshot{Name: name + id, ToolboxID: id, Created: now.AddDate(0, 0, -days), Bytes: 100})
		}
	}
	all = append(all, &Snapshot{Name: BeforeRollback, ToolboxID: "1", Created: now.AddDate(0, 0, -50), Bytes: 1000})
	for _, c := range []struct {
		keep Retention
		want string
	}{
		{Retention{}, ""},
		{Retention{Last: 4}, ""},
		{Retention{Last: 2}, "c1 c2 d1 d2"},
		{Retention{Within: 30 * 24 * time.Hour}, "d1 d2"},
		{Retention{Last: 3, Within: 36 * time.Hour}, "b1 b2 c1 c2 d1 d2"},
		{Retention{Bytes: 250}, "c1 c2 d1 d2"},
		{Retention{Bytes: 99}, "a1 a2 b1 b2 c1 c2 d1 d2"},
	} {
		var got []string
		for _, s := range c.keep.Expired(all, now) {
			got = append(got, s.Name)
		}
		words := map[string]bool{}
		for _, w := range got {
			words[w] = true
		}
		for _, w := range strings.Fields(c.want) {
			if !words[w] {
				t.Errorf("%+v: %v, and %s stays", c.keep, got, w)
			}
		}
		if len(got) != len(strings.Fields(c.want)) {
			t.Errorf("%+v: %v, want %s", c.keep, got, c.want)
		}
	}
	// A clock that was set back makes what is of a time to come the newest, and no age.
	future := []*Snapshot{{Name: "f", ToolboxID: "1", Created: now.AddDate(1, 0, 0)}}
	if got := (Retention{Last: 1, Within: time.Hour}).Expired(future, now); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
