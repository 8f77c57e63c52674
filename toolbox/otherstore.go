package toolbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Variables of the caller and settings of podman choose podman's store. So a toolbox that
// podman does not know may be in another store of the same user.

// errOtherStore is the kind of error for such a toolbox: none of its files may be
// removed.
var errOtherStore = fmt.Errorf("in another store: %w", fail.NotFound)

// elsewhere returns an error that names another store with a container of that name, or
// nil.
func (m *Manager) elsewhere(ctx context.Context, e Engine, name Name) error {
	here, err := e.NamesTable(ctx)
	if err != nil {
		m.debug("podman's store: %v", err)
		return nil
	}
	there := otherTable(m.storeRoots(), here, string(name))
	if there == "" {
		return nil
	}
	return fail.New(errOtherStore, "toolbox %s is in another store of podman: it is in %s, and podman uses %s here",
		name, storeOf(there), storeOf(here)).
		Hint("XDG_DATA_HOME, CONTAINERS_STORAGE_CONF and storage.conf choose the store: call tbx with the same settings as before")
}

// otherTable returns a table of names other than here, below one of the roots, that
// contains name; or "".
func otherTable(roots []string, here, name string) string {
	now, nowErr := os.Stat(here)
	for _, root := range roots {
		tables, _ := filepath.Glob(filepath.Join(root, "*-containers/containers.json")) // one with a pattern in its name is not found
		for _, table := range tables {
			if fi, err := os.Stat(table); err == nil && (nowErr != nil || !os.SameFile(fi, now)) && (join.Names{Path: table}).Has(name) {
				return table
			}
		}
	}
	return ""
}

// storeOf names a store by its table of names, GRAPHROOT/DRIVER-containers/containers.json.
func storeOf(table string) string {
	dir := filepath.Dir(table)
	return fmt.Sprintf("%s (driver %s)", filepath.Dir(dir), strings.TrimSuffix(filepath.Base(dir), "-containers"))
}

// storeRoots returns the directories where podman keeps this user's containers, by any
// settings that exist: containers-storage.conf(5).
func (m *Manager) storeRoots() []string {
	h := m.Host
	var out []string
	add := func(root string) {
		root = strings.NewReplacer("$HOME", h.Home, "$USER", h.User, "$UID", fmt.Sprint(h.UID)).Replace(root)
		if filepath.IsAbs(root) && !slices.Contains(out, root) {
			out = append(out, root)
		}
	}
	add(filepath.Join(h.RealHome, ".local/share/containers/storage"))
	add(filepath.Join(filepath.Dir(h.Dirs.Data), "containers/storage"))
	for _, file := range []string{
		filepath.Join(h.RealHome, ".config/containers/storage.conf"), filepath.Join(filepath.Dir(h.Dirs.Config), "containers/storage.conf"),
		lookup(h.Env, "CONTAINERS_STORAGE_CONF"), "/etc/containers/storage.conf",
	} {
		var conf struct {
			Storage struct {
				GraphRoot    string `toml:"graphroot"`
				RootlessPath string `toml:"rootless_storage_path"`
			} `toml:"storage"`
		}
		if _, err := toml.DecodeFile(file, &conf); err != nil {
			continue // missing, or podman reports its error
		}
		if file != "/etc/containers/storage.conf" { // where it is root's
			add(conf.Storage.GraphRoot)
		}
		add(conf.Storage.RootlessPath)
	}
	return out
}
