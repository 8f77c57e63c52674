package toolbox

import (
	"crypto/rand"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// newSpec checks options and makes the specification of a new toolbox from them.
func (m *Manager) newSpec(o CreateOptions) (*Spec, error) {
	if err := m.checkOptions(&o); err != nil {
		return nil, err
	}
	s := blankSpec(m.Host, &o)
	var err error
	if s.Share, s.links, err = shares(m.Host, o.Share); err != nil {
		return nil, err
	}
	for _, v := range o.Volumes {
		if err := s.addVolume(m.Host, v); err != nil {
			return nil, err
		}
	}
	if s.Home, err = ownHome(m.Host, o.Home); err != nil {
		return nil, err
	}
	for _, value := range slices.Concat(s.Env, s.Volumes, s.Share, []string{s.Home, s.Declared}) {
		if !utf8.ValidString(value) {
			return nil, fail.New(fail.Usage, "%s is not UTF-8, as the toolbox's file needs", escape.Quote(value)).
				Hint("a variable can be set at entry: tbx run --env NAME=VALUE")
		}
	}
	return s, m.checkOverlap(o.Name, s)
}

// checkOptions refuses contradictory options, and those that this host cannot keep.
func (m *Manager) checkOptions(o *CreateOptions) error {
	if err := integration.Check(o.Without); err != nil {
		return err
	}
	if err := checkHostname(o.Hostname); err != nil {
		return err
	}
	if err := checkIsolated(o); err != nil {
		return err
	}
	if err := checkLimits(m.Host, o); err != nil {
		return err
	}
	if o.GPU && len(m.Host.gpuDevices()) == 0 {
		return fail.New(fail.Unable, "there is no GPU here that a toolbox could use: no node /dev/dri/renderD* and no CDI "+
			"description of nvidia.com/gpu").
			Hint("leave out --gpu; for NVIDIA's driver, describe it with: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml")
	}
	for _, kv := range o.Env {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" || strings.ContainsRune(kv, 0) {
			return fail.New(fail.Usage, "environment variable %q is not NAME=VALUE", kv).
				Hint("write --env NAME=VALUE; a caller's value is passed by: tbx run --env NAME")
		}
	}
	return nil
}

// blankSpec makes a specification with the options that need no look at the host's
// directories, and with defaults for the others.
func blankSpec(h *Host, o *CreateOptions) *Spec {
	id := make([]byte, 16)
	rand.Read(id)
	s := &Spec{
		Version: SpecVersion, ID: hex.EncodeToString(id), Created: time.Now().UTC().Truncate(time.Second),
		Hostname: o.Hostname, Env: o.Env, Without: o.Without, Declared: o.Declared,
		Isolated: o.Isolated, NoNetwork: o.NoNetwork, Memory: o.Memory, CPUs: o.CPUs, Pids: o.Pids, ShmSize: o.ShmSize, GPU: o.GPU,
	}
	switch {
	case o.Isolated && o.Memory == "":
		s.Memory = defaultMemory(h)
	case !o.Isolated && o.Memory == "0":
		s.Memory = "" // no limit is its default
	}
	if o.CPUs == "0" {
		s.CPUs = ""
	}
	return s
}

// addVolume checks a --volume and adds it to s.
func (s *Spec) addVolume(h *Host, v string) error {
	v = wholeSource(h, v)
	mt, err := ParseVolume(v)
	if err == nil && s.Isolated {
		var links []string
		v, links, err = isolatedVolume(h, v, mt)
		s.links = append(s.links, links...)
	}
	if err == nil {
		err = checkTarget(s, mt)
	}
	if err != nil {
		return err
	}
	s.Volumes = append(s.Volumes, v)
	return nil
}

// ownHome returns the absolute path of the directory that --home names, or "".
func ownHome(h *Host, dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	home, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if home == h.RealHome || home == h.Home {
		return "", fail.New(fail.Usage, "%s is your home already", home).Hint("leave out --home to share it")
	}
	return home, nil
}

// checkHostname takes what hostname(7) allows.
func checkHostname(s string) error {
	bad := s != "" && (len(s) > 64 || s[0] == '-' || s[0] == '.')
	for _, r := range s {
		bad = bad || !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}
	if bad {
		return fail.New(fail.Usage, "%q cannot be a host name", s).Hint("use up to 64 letters, digits, '-' and '.'")
	}
	return nil
}
