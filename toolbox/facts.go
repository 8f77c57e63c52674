package toolbox

import (
	"slices"

	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// facts returns the facts that integrations depend on, for a toolbox of s on h.
func (h *Host) facts(s *Spec) *integration.Facts {
	f := &integration.Facts{
		Has: s.Has, Isolated: s.Isolated,
		Home: h.RealHome, HomeAt: h.RealHome, BoxRuntime: boxRuntimeDir(h),
		Env: h.Env, CDI: h.CDI,
		Locales: func() []string { return append(localesOf(h.Env), hostLocales("")...) },
		Zone:    func() (string, bool) { return zoneName("") },
	}
	if s.Home != "" {
		f.Home, f.OwnHome = s.Home, true
	}
	if h.HasRuntime {
		f.RuntimeDir = h.RuntimeDir
	}
	return f
}

// Has reports whether an integration is on. An isolated toolbox has only those that the
// integration's record allows.
func (s *Spec) Has(key string) bool {
	return !slices.Contains(s.Without, key) && (!s.Isolated || integration.InIsolated(key))
}

// recorded returns the facts for a session of a running toolbox.
func recorded(r *join.Record) *integration.Facts {
	return &integration.Facts{Isolated: r.Isolated, Has: func(key string) bool { return !slices.Contains(r.Without, key) }}
}
