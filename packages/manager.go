package packages

import (
	"context"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// Manager is one package manager: the commands, and how to read what they say.
type Manager struct {
	Name     string
	Programs []string // what must be there
	IDs      []string // of os-release(5), ID or ID_LIKE, where several managers are there
	Env      []string // NAME=VALUE, for every command

	Refresh []string   // fetches the indexes; empty: Upgrade does, and nothing else may
	Upgrade []string   // upgrades everything, and asks nothing
	Install []string   // before the packages' names; removes nothing
	Remove  []string   // before the packages' names
	Preview []string   // before the packages' names: says what Remove would do
	Search  []string   // before the words
	List    []string   // what can be upgraded
	Manual  []string   // what was asked for, one name a line
	Names   []string   // before the beginning of a name: packages that have it; empty: it would take too long
	Repair  [][]string // finish what was left in the middle
	Checks  []Check
	Aborts  int // exit code of Preview beside 0

	// Security upgrades what the distribution says is about security; nil where it does
	// not say so, and then NoSecurity is the reason.
	Security   func(ctx context.Context, s *System) error
	NoSecurity string

	// SecurityNames are the packages of List that are about security; nil: List says it.
	SecurityNames func(ctx context.Context, s *System) (map[string]bool, error)

	ReadSearch func(out string, words []string) []Package
	ReadList   func(out string) []Update
	ReadManual func(out string) []string
	Kept       func(out string) []string // configuration files that an upgrade left as they were

	Carry *Carry // what a rebase must know

	Fine     map[int]bool // exit codes beside 0 that are no failure
	problems []problem
}

// Package is one that a search has found.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // empty where the package manager does not say it
	Summary string `json:"summary,omitempty"`
}

// Update is a package of which there is something newer.
type Update struct {
	Name      string `json:"name"`
	Installed string `json:"installed,omitempty"` // empty where the package manager does not say it
	Available string `json:"available"`
	Security  bool   `json:"security,omitempty"`
}

// Check finds out whether the package manager is whole. It is not where the command
// fails, or where Quiet and it says something.
type Check struct {
	Args  []string
	Quiet bool
}

// Managers returns the package managers that are known, those first that others replace:
// a system with dnf5 may have an older dnf too.
func Managers() []*Manager {
	return []*Manager{apt(), dnf5(), dnf(), zypper(), pacman(), apk(), xbps()}
}

// nameRule is what a package's name may be. It may carry a version, an architecture or a
// repository as package managers have it, and nothing that they would take for an option,
// a pattern or a comparison.
var nameRule = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9@+._:/=~-]{0,254}$`)

// plausible says whether a line that was read has a name and a version where they shall be:
// package managers mix messages into what they list.
func plausible(name, version string) bool {
	return nameRule().MatchString(name) && version != "" && !strings.ContainsAny(version, " \t")
}
