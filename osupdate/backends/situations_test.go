package backends_test

import (
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest/fakehost"
)

// situations are the states that a verb is tried in.
func situations(kind osupdate.Kind) map[string]func(m *machine) {
	upgrade, back := osupdate.Request{Verb: osupdate.Upgrade}, osupdate.Request{Verb: osupdate.Rollback}
	raw := map[osupdate.Kind]string{osupdate.RPMOSTree: "rpm-ostree", osupdate.Bootc: "bootc", composefs: "bootc"}[kind]
	if kind == osupdate.OSTree {
		return plainSituations(upgrade, back)
	}
	to := osupdate.Request{Verb: osupdate.Switch, Target: elsewhere(kind)}
	out := map[string]func(m *machine){
		"clean":                  func(*machine) {},
		"staged":                 func(m *machine) { m.must(upgrade) },
		"rolled back":            func(m *machine) { m.must(back) },
		"rolled back by another": func(m *machine) { m.call(raw, "rollback") },
		"rolled back and booted": func(m *machine) { m.must(back); m.boot(0) },
		"old entry in the menu":  func(m *machine) { m.boot(1) },
		"upgraded and booted":    func(m *machine) { m.must(upgrade); m.boot(0) },
		"staged, then a newer one appears": func(m *machine) {
			m.must(upgrade)
			m.other(func(h *fakehost.Host) { h.Newest[m.fake.Running().Follows] = "4" })
		},
		"upgraded, old entry in the menu": func(m *machine) { m.must(upgrade); m.boot(1) },
		"pinned, upgraded twice": func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Pin, Target: "1"})
			m.must(upgrade)
			m.boot(0)
		},
		"switched":                                          func(m *machine) { m.must(to) },
		"switched and booted":                               func(m *machine) { m.must(to); m.boot(0) },
		"upgraded, then switched":                           func(m *machine) { m.must(upgrade); m.must(to) },
		"rolled back, then another stages":                  func(m *machine) { m.must(back); m.call(raw, "upgrade") },
		"another upgrades after tbx rolled back and booted": func(m *machine) { m.must(back); m.boot(0); m.call(raw, "upgrade"); m.boot(0) },
	}
	if kind == composefs { // it has no pins
		delete(out, "pinned, upgraded twice")
	}
	if kind == osupdate.RPMOSTree {
		out["locked by an agent"] = func(m *machine) { m.call(raw, "upgrade", "--lock-finalization") }
	} else {
		out["downloaded"] = func(m *machine) { m.must(osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true}) }
		out["downloaded, then a newer one appears"] = func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true})
			m.other(func(h *fakehost.Host) { h.Newest[image] = "4" })
		}
		out["downloaded and lost"] = func(m *machine) { m.must(osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true}); m.boot(0) }
	}
	return out
}

// plainSituations are those of plain ostree, by its own commands.
func plainSituations(upgrade, back osupdate.Request) map[string]func(m *machine) {
	to := osupdate.Request{Verb: osupdate.Switch, Target: elsewhere(osupdate.OSTree)}
	return map[string]func(m *machine){
		"clean":                  func(*machine) {},
		"staged":                 func(m *machine) { m.must(upgrade) },
		"staged by another":      func(m *machine) { m.call("ostree", "admin", "upgrade", "--os=os", "--stage") },
		"rolled back":            func(m *machine) { m.must(back) },
		"rolled back by another": func(m *machine) { m.call("ostree", "admin", "set-default", "1") },
		"rolled back and booted": func(m *machine) { m.must(back); m.boot(0) },
		"old entry in the menu":  func(m *machine) { m.boot(1) },
		"upgraded and booted":    func(m *machine) { m.must(upgrade); m.boot(0) },
		"staged, then a newer one appears": func(m *machine) {
			m.must(upgrade)
			m.other(func(h *fakehost.Host) { h.Newest[ref] = "4" })
		},
		"upgraded, old entry in the menu": func(m *machine) { m.must(upgrade); m.boot(1) },
		"pinned, upgraded twice": func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Pin, Target: "1"})
			m.must(upgrade)
			m.boot(0)
		},
		"rolled back, then upgraded": func(m *machine) { m.must(back); m.must(upgrade) },
		"switched":                   func(m *machine) { m.must(to) },
		"switched and booted":        func(m *machine) { m.must(to); m.boot(0) },
		"upgraded, then switched":    func(m *machine) { m.must(upgrade); m.must(to) },
	}
}
