package auto

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

// Look reads what people are told. It asks no updater, and a service only where a restart
// waits. dir is that of the memory; settings are in the second result.
func Look(ctx context.Context, root, dir string, bus Bus, now time.Time) (*View, *Settings, error) {
	s, values, err := Load(SettingsFiles(root))
	if err != nil {
		return nil, nil, err
	}
	m, err := Recall(dir)
	if err != nil {
		return nil, nil, err
	}
	v := &View{Enabled: s.Enabled, Timer: "enabled", Record: m.Record, Settings: values}
	switch {
	case UnitFile(root, Timer) == "":
		v.Timer = "not installed"
	case !Enabled(root, Timer):
		v.Timer = "disabled"
	}
	if found := Others(root); len(found) > 0 {
		v.Manager = found[0].Name
	}
	if slices.Contains(waitsForRestart(), m.State) {
		v.Permit = permit(ctx, &s, bus, now)
	}
	v.Notices = tell.Of(&m.Record, m.Blockers, now)
	v.Lines = v.Two(&s, now)
	return v, &s, nil
}

// Used says whether anybody has ever had to do with automatic updates of the host below
// root: on any other, status is silent about them.
func Used(root, dir string) bool {
	if UnitFile(root, Timer) != "" || len(SettingsFiles(root)) > 0 {
		return true
	}
	found, err := filepath.Glob(filepath.Join(dir, memoryFile))
	return err == nil && len(found) > 0
}

// Pause has nothing new begun until then; what runs is still looked after.
func Pause(dir string, until time.Time) error {
	return change(dir, func(m *Memory) { m.Paused = until })
}

// Resume ends a pause, and a stop that wanted a person to look.
func Resume(dir string, now time.Time) error {
	return change(dir, func(m *Memory) { m.Record.Resume(now) })
}

func change(dir string, do func(*Memory)) error {
	m, err := Recall(dir)
	if err != nil {
		return err
	}
	do(&m)
	return Keep(dir, m)
}
