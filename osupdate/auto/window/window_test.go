package window_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the test's own: a machine may lack it

	"github.com/tbx-project/tbx/osupdate/auto/window"
)

func TestOpen(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night := []window.Window{{Days: []string{"Sat", "Sun"}, Start: "23:30", Minutes: 60}}
	leap := []window.Window{{Start: "02:30", Minutes: 45}}
	for _, c := range []struct {
		all         []window.Window
		now         string // UTC
		until, next string
	}{
		{night, "2026-12-05T22:29:00Z", "", "2026-12-05T22:30:00Z"}, // Saturday, 23:29
		{night, "2026-12-05T22:30:00Z", "2026-12-05T23:30:00Z", "2026-12-06T22:30:00Z"},
		{night, "2026-12-05T23:29:59Z", "2026-12-05T23:30:00Z", "2026-12-06T22:30:00Z"}, // past midnight
		{night, "2026-12-05T23:30:00Z", "", "2026-12-06T22:30:00Z"},
		{night, "2026-12-06T23:10:00Z", "2026-12-06T23:30:00Z", "2026-12-12T22:30:00Z"}, // Monday, 00:10: Sunday's
		{night, "2026-12-08T12:00:00Z", "", "2026-12-12T22:30:00Z"},
		{leap, "2026-03-29T00:59:00Z", "", "2026-03-29T01:00:00Z"}, // the clock leaps from 02:00 to 03:00
		{leap, "2026-03-29T01:44:00Z", "2026-03-29T01:45:00Z", "2026-03-30T00:30:00Z"},
		{leap, "2026-10-25T00:29:00Z", "", "2026-10-25T00:30:00Z"}, // 02:30 comes twice: the first one counts, and once
		{leap, "2026-10-25T01:20:00Z", "", "2026-10-26T01:30:00Z"},
		{leap, "2026-10-25T01:35:00Z", "", "2026-10-26T01:30:00Z"},
		{[]window.Window{{Days: []string{"Mon"}, Start: "00:00", Minutes: 7 * 24 * 60}}, "2026-12-06T22:59:59Z", "2026-12-06T23:00:00Z", "2026-12-06T23:00:00Z"},
		{nil, "2026-12-06T22:59:59Z", "", ""},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		show := func(at time.Time) string {
			if at.IsZero() {
				return ""
			}
			return at.UTC().Format(time.RFC3339)
		}
		if until, next := show(window.Open(c.all, now, berlin)), show(window.Next(c.all, now, berlin)); until != c.until || next != c.next {
			t.Errorf("%s: open until %q, next at %q; want %q, %q", c.now, until, next, c.until, c.next)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, w := range []window.Window{{Start: "25:00", Minutes: 5}, {Start: "2:3", Minutes: 5}, {Start: "02:30"}, {Start: "02:30", Minutes: 10081},
		{Start: "02:30", Minutes: 5, Days: []string{"Samstag"}}} {
		if w.Check() == nil {
			t.Errorf("%+v was taken", w)
		}
	}
	if err := (window.Window{Start: "02:30", Minutes: 5, Days: []string{"Sat"}}).Check(); err != nil {
		t.Error(err)
	}
}
