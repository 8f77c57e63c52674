package auto

import (
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// ParseUntil reads a moment: a date, a date and time of day, or a duration from now, in
// days or as Go writes it.
func ParseUntil(text string, now time.Time) (time.Time, error) {
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.RFC3339} {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return future(text, at, now)
		}
	}
	if n, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.Atoi(n); err == nil {
			return future(text, now.AddDate(0, 0, days), now)
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return future(text, now.Add(d), now)
	}
	return time.Time{}, fail.New(fail.Usage, "%s is neither a date nor a duration", escape.Quote(text)).
		Hint("write 2026-12-24, \"2026-12-24 18:00\", 12h or 3d")
}

func future(text string, at, now time.Time) (time.Time, error) {
	if !at.After(now) {
		return at, fail.New(fail.Usage, "%s is not in the future", escape.Quote(text)).Hint("write a later date, or a duration such as 3d")
	}
	return at, nil
}
