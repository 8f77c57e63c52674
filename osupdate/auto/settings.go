package auto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
	"github.com/tbx-project/tbx/internal/tomlfile"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/window"
)

// Reboot is a policy for restarts.
type Reboot string

// The policies.
const (
	Never     Reboot = "never"      // a person restarts
	Idle      Reboot = "idle"       // when nobody has used the machine for a while
	Window    Reboot = "window"     // in weekly windows
	FleetLock Reboot = "fleet-lock" // when the fleet gives it a slot
	Immediate Reboot = "immediate"  // as soon as the update is there
)

// Reboots is every policy.
func Reboots() []Reboot { return []Reboot{Never, Idle, Window, FleetLock, Immediate} }

// none says that a word is none of the policies.
func (r Reboot) none() string {
	words := make([]string, 0, len(Reboots()))
	for _, one := range Reboots() {
		words = append(words, string(one))
	}
	return fmt.Sprintf("%q is none of %s", string(r), strings.Join(words, ", "))
}

// Settings is [auto] and [fleet] of /etc/tbx/host.toml and its drop-ins.
type Settings struct {
	Enabled     bool   `toml:"enabled" json:"enabled"`
	Reboot      Reboot `toml:"reboot" json:"reboot"`
	CheckHours  int    `toml:"check_hours" json:"check_hours"`
	IdleMinutes int    `toml:"idle_minutes" json:"idle_minutes"` // without a key or a mouse, for idle
	// then an update is fetched in spite of conditions; 0: never
	DeadlineDays    int  `toml:"deadline_days" json:"deadline_days"`
	SecurityDays    int  `toml:"security_days" json:"security_days"`       // the same for a security update
	BatteryPercent  int  `toml:"battery_percent" json:"battery_percent"`   // on battery, no update is fetched below it
	Metered         bool `toml:"metered" json:"metered"`                   // fetch on a metered network too
	PressurePercent int  `toml:"pressure_percent" json:"pressure_percent"` // of processors and disks, proc_pressure; 0: never mind
	FreeMegabytes   int  `toml:"free_megabytes" json:"free_megabytes"`     // in the sysroot
	// a new system that cannot reach the source is not healthy
	RequireSource bool            `toml:"require_source" json:"require_source"`
	CheckSeconds  int             `toml:"check_seconds" json:"check_seconds"` // for each program of check.d
	TimeZone      string          `toml:"time_zone" json:"time_zone"`         // IANA name, of the windows; empty: the machine's
	Windows       []window.Window `toml:"window" json:"window"`
	Metrics       string          `toml:"metrics" json:"metrics"` // directory of node_exporter's textfile collector
	Fleet         FleetSettings   `toml:"-" json:"-"`             // [fleet]
}

// Value is one setting and where it comes from.
type Value struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"` // a file, or "default"
}

// Default is the settings without a file.
func Default() Settings {
	return Settings{
		Enabled: true, Reboot: Never, CheckHours: 6, IdleMinutes: 60, DeadlineDays: 14, SecurityDays: 7, BatteryPercent: 30,
		PressurePercent: 40, FreeMegabytes: 1024, CheckSeconds: 120,
		Fleet: FleetSettings{Dialect: "coreos", Stream: "stable", Group: "default", Wariness: -1},
	}
}

// SettingsFiles are the files of [Load] that are there below root, in their order: what
// the image brings, the administrator's file, and drop-ins. A drop-in of /etc takes the
// place of one of the same name below /usr; a link to /dev/null takes it away.
func SettingsFiles(root string) []string {
	dropIns := map[string]string{}
	for _, dir := range []string{"usr/lib/tbx/host.toml.d", "etc/tbx/host.toml.d"} {
		found, err := filepath.Glob(filepath.Join(root, dir, "*.toml"))
		if err != nil {
			continue // the pattern is a constant
		}
		for _, f := range found {
			dropIns[filepath.Base(f)] = f
		}
	}
	files := []string{filepath.Join(root, "usr/lib/tbx/host.toml"), filepath.Join(root, "etc/tbx/host.toml")}
	names := make([]string, 0, len(dropIns))
	for name := range dropIns {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if to, err := os.Readlink(dropIns[name]); err == nil && to == "/dev/null" {
			continue
		}
		files = append(files, dropIns[name])
	}
	return slices.DeleteFunc(files, func(f string) bool {
		_, err := os.Lstat(f)
		return errors.Is(err, os.ErrNotExist)
	})
}

// Load reads files in order, later ones winning key by key, and says where each value is
// from. Errors are of kind fail.Usage, with file and line.
func Load(files []string) (Settings, []Value, error) {
	s, origin := Default(), map[string]string{}
	for _, file := range files {
		data, err := ownfile.ReadIfThere(file)
		if err != nil {
			return s, nil, err
		}
		into := struct {
			Auto  *Settings      `toml:"auto"`
			Fleet *FleetSettings `toml:"fleet"`
		}{&s, &s.Fleet}
		windows := s.Windows
		s.Windows = nil // the library would mix the windows of two files
		parsed, err := tomlfile.Parse(file, data, &into)
		if err == nil {
			err = parsed.Unknown()
		}
		if err != nil {
			return s, nil, mistake(err)
		}
		if s.Windows == nil {
			s.Windows = windows
		}
		for _, key := range parsed.Keys() {
			if len(key) > 1 {
				origin[key[0]+"."+key[1]] = file
			}
		}
		if err := s.check(); err != nil {
			return s, nil, fail.New(fail.Usage, "%s: [auto] %v", file, err).Hint("docs/auto.md lists the settings")
		}
		if err := s.Fleet.check(); err != nil {
			return s, nil, fail.New(fail.Usage, "%s: [fleet] %v", file, err).Hint("docs/auto.md lists the settings")
		}
	}
	if err := s.whole(); err != nil {
		return s, nil, fail.New(fail.Usage, "%s: [auto] %v", origin["auto.reboot"], err).Hint("docs/auto.md lists the settings")
	}
	return s, values(s, origin), nil
}

func mistake(err error) error {
	e := fail.Wrap(fail.Usage, err, "")
	var m *tomlfile.Error
	if errors.As(err, &m) && m.DidYouMean() != "" {
		return e.Hint("%s", m.DidYouMean())
	}
	return e.Hint("docs/auto.md lists the settings")
}

// check says which value cannot be.
func (s *Settings) check() error {
	if !slices.Contains(Reboots(), s.Reboot) {
		return errors.New("reboot: " + s.Reboot.none())
	}
	for _, n := range []struct {
		key         string
		value       int
		least, most int
	}{
		{"check_hours", s.CheckHours, 1, 24 * 31}, {"idle_minutes", s.IdleMinutes, 1, 24 * 60}, {"deadline_days", s.DeadlineDays, 0, 365},
		{"security_days", s.SecurityDays, 0, 365}, {"battery_percent", s.BatteryPercent, 0, 100},
		{"pressure_percent", s.PressurePercent, 0, 100}, {"free_megabytes", s.FreeMegabytes, 0, 1 << 20},
		{"check_seconds", s.CheckSeconds, 1, 3600},
	} {
		if n.value < n.least || n.value > n.most {
			return fmt.Errorf("%s: %d is not between %d and %d", n.key, n.value, n.least, n.most)
		}
	}
	if _, err := s.Location(); err != nil {
		return err
	}
	if s.Metrics != "" && !filepath.IsAbs(s.Metrics) {
		return fmt.Errorf("metrics: %q is no absolute path", s.Metrics)
	}
	for _, w := range s.Windows {
		if err := w.Check(); err != nil {
			return fmt.Errorf("window: %w", err)
		}
	}
	return nil
}

// whole says what the policy lacks, when all files are read.
func (s *Settings) whole() error {
	switch {
	case s.Reboot == Window && len(s.Windows) == 0:
		return errors.New("reboot: \"window\" needs at least one [[auto.window]]")
	case s.Reboot == FleetLock && s.Fleet.Lock == "":
		return errors.New("reboot: \"fleet-lock\" needs the address of the lock, [fleet] lock")
	}
	return nil
}

// Location is the zone of the windows.
func (s *Settings) Location() (*time.Location, error) {
	if s.TimeZone == "" {
		return time.Local, nil
	}
	loc, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: this machine knows no zone %q", s.TimeZone)
	}
	return loc, nil
}

// Policy is what the machine has to know of s.
func (s *Settings) Policy() machine.Policy {
	const day = 24 * time.Hour
	return machine.Policy{
		Enabled: s.Enabled, CheckEvery: time.Duration(s.CheckHours) * time.Hour,
		Deadline: time.Duration(s.DeadlineDays) * day, SecurityDeadline: time.Duration(s.SecurityDays) * day,
		Fleet: s.Fleet.Lock != "", Lock: s.Reboot == FleetLock,
	}
}

// values lists every setting in the order of the structs.
func values(s Settings, origin map[string]string) []Value {
	var out []Value
	for _, table := range []struct {
		name, prefix string
		of           any
	}{{"auto", "", s}, {"fleet", "fleet.", s.Fleet}} {
		v := reflect.ValueOf(table.of)
		for i := range v.NumField() {
			key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("toml"), ",")
			if key == "-" {
				continue
			}
			from := origin[table.name+"."+key]
			if from == "" {
				from = "default"
			}
			out = append(out, Value{table.prefix + key, v.Field(i).Interface(), from})
		}
	}
	return out
}
