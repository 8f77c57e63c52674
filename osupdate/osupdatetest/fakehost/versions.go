package fakehost

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Versions is a host whose updater knows versions, roots or snapshots: the models of
// systemd-sysupdate, ABRoot and transactional-update, behind programs of those names
// with the words of testdata/real of the backends.
type Versions struct {
	Updater  string // systemd-sysupdate, abroot or transactional-update
	Systems  []System
	Booted   string   // name of a system
	Default  string   // the one that boots next; sysupdate boots the newest
	Newest   string   // the version to be had
	Source   string   // ABRoot: the image
	Packages []string // ABRoot: asked for
	Writable bool     // transactional-update: the root is writable, so that a rollback makes copies
	Boots    int

	root string
}

// System is one that the host can boot.
type System struct {
	Name     string // of a version, a root or a snapshot
	Version  string // its content
	Packages []string
	From     string // how a snapshot came to be
	Made     int    // at which boot
}

// NewVersions makes a host that runs version 2, has version 1 to go back to, and can
// have version 3.
func NewVersions(t *testing.T, updater string) *Versions {
	t.Helper()
	names := map[string][]string{"systemd-sysupdate": {"1", "2"}, "abroot": {"vos-b", "vos-a"}, "transactional-update": {"1", "2"}}[updater]
	v := &Versions{root: t.TempDir(), Updater: updater, Newest: "3", Source: "ghcr.io/lab/os:1", Booted: names[1], Default: names[1], Boots: 1}
	v.Systems = []System{{Name: names[0], Version: "1", From: "first root filesystem"}, {Name: names[1], Version: "2", From: "Snapshot Update of #1"}}
	for _, name := range []string{"bin/systemd-sysupdate", "bin/abroot", "bin/tukit", "bin/zypper", "sbin/transactional-update"} {
		link(t, filepath.Join(v.root, "usr", name))
	}
	if err := v.Save(); err != nil {
		t.Fatal(err)
	}
	v.started(t)
	return v
}

// Root is the root directory of the host, and Programs where its programs are.
func (v *Versions) Root() string { return v.root }

// Programs are the directories of the host's programs.
func (v *Versions) Programs() []string {
	return []string{filepath.Join(v.root, "usr/bin"), filepath.Join(v.root, "usr/sbin")}
}

func (v *Versions) started(t *testing.T) {
	t.Helper()
	put(t, filepath.Join(v.root, "proc/stat"), fmt.Sprintf("btime %d\n", date(v.Boots).Unix()-60))
}

// date is when what is made in a boot was made.
func date(boot int) time.Time { return time.Date(2026, 11, boot, 12, 0, 0, 0, time.UTC) }

// LoadVersions reads the model of the host below root.
func LoadVersions(root string) (*Versions, error) {
	data, err := os.ReadFile(filepath.Join(root, "versions.json"))
	if err != nil {
		return nil, err
	}
	v := &Versions{root: root}
	return v, json.Unmarshal(data, v)
}

// Reload reads again what the programs have changed.
func (v *Versions) Reload(t *testing.T) {
	t.Helper()
	now, err := LoadVersions(v.root)
	if err != nil {
		t.Fatal(err)
	}
	*v = *now
}

// Save writes the model, and the files by which the updater is found.
func (v *Versions) Save() error {
	running := v.get(v.Booted)
	files := map[string]string{"proc/cmdline": "quiet\n", "proc/sys/kernel/random/boot_id": fmt.Sprintf("boot-%d\n", v.Boots)}
	switch v.Updater {
	case "systemd-sysupdate":
		files["usr/lib/sysupdate.d/50-os.transfer"] = "[Transfer]\n"
		files["etc/os-release"] = "ID=lab\nIMAGE_VERSION=" + running.Version + "\n"
	case "abroot":
		files["abimage.abr"] = "{}"
		files["proc/self/mountinfo"] = "1 1 0:1 / / rw - ext4 /dev/" + v.Booted + " rw\n"
	default:
		files["proc/self/mountinfo"] = "1 1 0:1 /@/.snapshots/" + v.Booted + "/snapshot / rw - btrfs /dev/vda rw\n"
	}
	for name, text := range files {
		path := filepath.Join(v.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, label := range []string{"vos-a", "vos-b"} {
		path := filepath.Join(v.root, "dev/disk/by-label", label)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("../../"+label, path); err != nil && !os.IsExist(err) {
			return err
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(v.root, "versions.json"), data, 0o644)
}

// Snapshot is everything that decides what boots, as text.
func (v *Versions) Snapshot(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(v.root, "versions.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (v *Versions) get(name string) *System {
	for i := range v.Systems {
		if v.Systems[i].Name == name {
			return &v.Systems[i]
		}
	}
	return nil
}

// Running is the system that runs, and Next the one that boots next.
func (v *Versions) Running() *System { return v.get(v.Booted) }

// Next is the system that boots next.
func (v *Versions) Next() *System {
	if v.Updater == "systemd-sysupdate" {
		return &v.Systems[len(v.Systems)-1]
	}
	return v.get(v.Default)
}

// Boot restarts the machine into what boots next.
func (v *Versions) Boot(t *testing.T) {
	t.Helper()
	v.Booted = v.Next().Name
	v.Boots++
	if err := v.Save(); err != nil {
		t.Fatal(err)
	}
	v.started(t)
}

// programs of Versions.
func (v *Versions) call(name string, args []string) (string, int) {
	line := strings.Join(args, " ")
	switch name {
	case "systemd-sysupdate":
		return v.sysupdate(line)
	case "abroot":
		return v.abroot(line, args)
	case "zypper":
		update := ""
		if v.Running().Version != v.Newest {
			update = `<update kind="package" name="lab" edition="` + v.Newest + `" edition-old="` + v.Running().Version + `"/>`
		}
		return `<?xml version='1.0'?><stream><update-status version="0.6"><update-list>` + update + `</update-list></update-status></stream>`, 0
	case "tukit":
		return v.snapshots(), 0
	}
	return v.transactional(line, args)
}

func (v *Versions) sysupdate(line string) (string, int) {
	names := make([]string, 0, len(v.Systems))
	for _, s := range slices.Backward(v.Systems) {
		names = append(names, `"`+s.Version+`"`)
	}
	newest := v.Systems[len(v.Systems)-1].Version
	switch {
	case line == "--json=short --offline list":
		return `{"current":` + names[0] + `,"all":[` + strings.Join(names, ",") + `],"appstreamUrls":[]}`, 0
	case strings.HasPrefix(line, "--json=short --offline list "):
		return `{"version":` + names[0] + `,"installed":true,"partial":false,"pending":false,"incomplete":false,"contents":[]}`, 0
	case line == "--json=short check-new" && v.Newest == newest:
		return `{"available":null}`, 0
	case line == "--json=short check-new":
		return `{"available":"` + v.Newest + `"}`, 0
	case line == "--version":
		return "systemd 257 (257.9-1)\n", 0
	case line == "update" && v.Newest == newest:
		return "No update needed.\n", 0
	case line == "update":
		v.Systems = append(v.Systems, System{Name: v.Newest, Version: v.Newest})
		v.vacuum()
		return "", 0
	case line == "vacuum":
		if !v.vacuum() {
			return "Found nothing to remove.\n", 0
		}
		return "", 0
	}
	return v.unexpected("systemd-sysupdate " + line)
}

// vacuum leaves two versions, and the running one.
func (v *Versions) vacuum() bool {
	at := slices.IndexFunc(v.Systems, func(s System) bool { return s.Name != v.Booted })
	if len(v.Systems) < 3 {
		return false
	}
	v.Systems = slices.Delete(v.Systems, at, at+1)
	return true
}

func (v *Versions) abroot(line string, args []string) (string, int) {
	next := v.get(v.Default)
	other := v.Systems[0].Name
	if other == v.Booted {
		other = v.Systems[1].Name
	}
	switch {
	case line == "status -j":
		future := v.Systems[0].Name
		if future == v.Default {
			future = v.Systems[1].Name
		}
		data, _ := json.Marshal(map[string]any{ // plain data
			"present": v.Default, "future": future, "kargs": "quiet", "pkgsAdd": v.Packages, "pkgsRm": []string{}, "pkgsUnstg": added(next.Packages, v.Packages),
			"abimage": map[string]any{"digest": "sha256:" + v.Running().Version, "timestamp": "2026-10-01T08:00:00Z", "image": v.Source},
		})
		return string(data) + "\n", 0
	case line == "upgrade -c" && next.Version == v.Newest:
		return `{"hasUpdate":false}`, 1
	case line == "upgrade -c":
		return `{"hasUpdate":true,"newDigest":"sha256:` + v.Newest + `"}`, 0
	case line == "upgrade":
		*v.get(other) = System{Name: other, Version: v.Newest, Packages: v.Packages, Made: v.Boots}
		v.Default = other
	case line == "rollback":
		if v.Default == v.Booted {
			v.Default = other
		} else {
			v.Default = v.Booted
		}
	case args[0] == "rebase":
		v.Source, v.Newest = args[1], "7"
	case line == "pkg apply" && slices.Equal(next.Packages, v.Packages):
		return "No changes to apply.\n", 0
	case line == "pkg apply":
		*v.get(other) = System{Name: other, Version: v.Running().Version, Packages: v.Packages, Made: v.Boots}
		v.Default = other
	case strings.HasPrefix(line, "pkg add "):
		v.Packages = append(v.Packages, added(v.Packages, args[2:])...)
	default:
		return v.unexpected("abroot " + line)
	}
	return "", 0
}

func added(was, now []string) []string {
	return slices.DeleteFunc(slices.Clone(now), func(n string) bool { return slices.Contains(was, n) })
}

func (v *Versions) snapshots() string {
	out := "0\tno\tno\t\tcurrent\t\n"
	yes := map[bool]string{true: "yes", false: "no"}
	for _, s := range v.Systems {
		out += strings.Join([]string{s.Name, yes[s.Name == v.Default], yes[s.Name == v.Booted], date(s.Made).Format(time.DateTime), s.From, "\n"}, "\t")
	}
	return out
}

func (v *Versions) transactional(line string, args []string) (string, int) {
	base := v.Running()
	if slices.Contains(args, "--continue") {
		base = v.get(v.Default)
	}
	made := *base
	switch {
	case strings.HasSuffix(line, " dup"):
		made.Version = v.Newest
	case strings.Contains(line, " pkg install "):
		made.Packages = append(slices.Clone(base.Packages), added(base.Packages, args[slices.Index(args, "install")+1:])...)
	case args[0] == "rollback":
		return v.back(args[1])
	case line == "cleanup":
		return "", 0
	default:
		return v.unexpected("transactional-update " + line)
	}
	if made.Version == base.Version && len(made.Packages) == len(base.Packages) {
		return "Nothing to do.\n", 0 // tukit discards the snapshot
	}
	v.snapshot(made, "Snapshot Update of #"+base.Name)
	return "Please reboot your machine to activate the changes and avoid data loss.\n", 0
}

// back makes a snapshot the default one, or a copy of it where the root is writable.
func (v *Versions) back(name string) (string, int) {
	s := v.get(name)
	if s == nil {
		return "Snapshot '" + name + "' not found.\nERROR: `snapper --no-dbus rollback " + name + "` returned with error code 1.\n", 1
	}
	if !v.Writable {
		v.Default = name
		return "Rollback to snapshot " + name + "...\nPlease reboot to finish rollback!\n", 0
	}
	to, was := *s, *v.get(v.Default)
	v.snapshot(was, "rollback backup of #"+was.Name)
	v.snapshot(to, "writable copy of #"+name)
	return "Rollback to snapshot " + name + "...\nPlease reboot to finish rollback!\n", 0
}

// snapshot adds one and makes it the default.
func (v *Versions) snapshot(s System, from string) {
	last, _ := strconv.Atoi(v.Systems[len(v.Systems)-1].Name) // it is a number
	s.Name, s.From, s.Made = strconv.Itoa(last+1), from, v.Boots
	v.Systems = append(v.Systems, s)
	v.Default = s.Name
}

func (v *Versions) unexpected(line string) (string, int) {
	f, err := os.OpenFile(filepath.Join(v.root, "strays"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		f.WriteString(line + "\n")
		f.Close()
	}
	return "error: not expected: " + line + "\n", 97
}
