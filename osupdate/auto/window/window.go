// Package window says when weekly windows of time are open, in a zone whose clock may be
// moved. It has no clock of its own.
package window

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is open once on each of its days, from Start for Minutes of real time: a clock
// that is moved meanwhile makes it neither shorter nor longer.
type Window struct {
	Days    []string `toml:"days"`    // Mon to Sun; none: every day
	Start   string   `toml:"start"`   // HH:MM of the zone's clock
	Minutes int      `toml:"minutes"` // at most a week
}

const maxMinutes = 7 * 24 * 60

var days = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// Check says what is wrong with w, or nil.
func (w Window) Check() error {
	for _, d := range w.Days {
		if !slices.Contains(days, d) {
			return fmt.Errorf("days: %q is none of %s", d, strings.Join(days, ", "))
		}
	}
	if _, err := time.Parse("15:04", w.Start); err != nil {
		return fmt.Errorf("start: %q is no time of day, such as 23:30", w.Start)
	}
	if w.Minutes < 1 || w.Minutes > maxMinutes {
		return fmt.Errorf("minutes: %d is not between 1 and %d", w.Minutes, maxMinutes)
	}
	return nil
}

// Open says until when one of the windows is open, in loc; the zero time where none is.
func Open(all []Window, now time.Time, loc *time.Location) time.Time {
	var until time.Time
	for _, w := range all {
		for offset := -8; offset <= 0; offset++ {
			start, ok := w.on(now, offset, loc)
			if end := start.Add(time.Duration(w.Minutes) * time.Minute); ok && !now.Before(start) && now.Before(end) && end.After(until) {
				until = end
			}
		}
	}
	return until
}

// Next is when the next window opens after now; the zero time where there is none.
func Next(all []Window, now time.Time, loc *time.Location) time.Time {
	var next time.Time
	for _, w := range all {
		for offset := 0; offset <= 8; offset++ {
			if start, ok := w.on(now, offset, loc); ok && start.After(now) && (next.IsZero() || start.Before(next)) {
				next = start
			}
		}
	}
	return next
}

// on is when w opens on the day that is so many days after now's.
func (w Window) on(now time.Time, offset int, loc *time.Location) (time.Time, bool) {
	at, err := time.Parse("15:04", w.Start)
	if err != nil {
		return time.Time{}, false
	}
	y, m, d := now.In(loc).Date()
	noon := time.Date(y, m, d+offset, 12, 0, 0, 0, loc)
	if len(w.Days) > 0 && !slices.Contains(w.Days, days[noon.Weekday()]) {
		return time.Time{}, false
	}
	y, m, d = noon.Date()
	return first(y, m, d, at.Hour()*60+at.Minute(), loc), true
}

// first is the first moment of that day at which the clock shows that minute or a later
// one. time.Date does not say which it takes of a minute that comes twice, and what it
// makes of one that the clock leaps over.
func first(y int, m time.Month, d, minute int, loc *time.Location) time.Time {
	t := time.Date(y, m, d, minute/60, minute%60, 0, 0, loc)
	const reach = 3 * time.Hour
	_, before := t.Add(-reach).Zone()
	_, after := t.Add(reach).Zone()
	if before == after {
		return t
	}
	for c := t.Add(-reach); c.Before(t.Add(reach)); c = c.Add(time.Minute) {
		if c.Day() == d && c.Hour()*60+c.Minute() >= minute {
			return c
		}
	}
	return t
}
