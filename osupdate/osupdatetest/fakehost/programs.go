package fakehost

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/flock"
)

// Main is the main function of the programs: TestMain calls it first. It returns
// where the test's binary was called by its own name.
func Main() {
	name := filepath.Base(os.Args[0])
	root := filepath.Dir(filepath.Dir(filepath.Dir(os.Args[0]))) // ROOT/usr/bin/NAME
	switch name {
	case "rpm-ostree", "bootc", "ostree", "systemctl":
		programs := map[string]func(*Host, []string) (string, int){"rpm-ostree": rpmOSTree, "bootc": bootc, "ostree": ostree, "systemctl": systemctl}
		serve(root, Load, func(h *Host) (string, int) { return programs[name](h, os.Args[1:]) })
	case "systemd-sysupdate", "abroot", "tukit", "zypper", "transactional-update":
		serve(root, LoadVersions, func(v *Versions) (string, int) { return v.call(name, os.Args[1:]) })
	}
	inMemory()
}

// inMemory lets the test keep its hosts in memory, where the machine can run programs
// from there: they flush every line of their history, and half of a walk is waiting for
// a disk.
func inMemory() {
	const dir = "/dev/shm"
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil && fs.Flags&unix.ST_NOEXEC == 0 && unix.Access(dir, unix.W_OK) == nil {
		os.Setenv("TMPDIR", dir)
	}
}

// serve answers one call, with the model locked until the program ends.
func serve[M interface{ Save() error }](root string, load func(string) (M, error), run func(M) (string, int)) {
	stop := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	if _, err := flock.Wait(context.Background(), filepath.Join(root, "lock")); err != nil {
		stop(err)
	}
	h, err := load(root)
	if err != nil {
		stop(err)
	}
	before, _ := json.Marshal(h) // plain data
	out, code := run(h)
	if after, _ := json.Marshal(h); string(after) != string(before) {
		if err := h.Save(); err != nil {
			stop(err)
		}
	}
	if code == 0 || code == 77 || strings.HasPrefix(out, "{") {
		fmt.Print(out)
	} else {
		fmt.Fprint(os.Stderr, out)
	}
	os.Exit(code)
}

// unexpected is a call that the fake does not know.
func unexpected(h *Host, name string, args []string) (string, int) {
	text := fmt.Sprintf("%s %s\n", name, strings.Join(args, " "))
	f, err := os.OpenFile(filepath.Join(h.root, "strays"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		f.WriteString(text)
		f.Close()
	}
	return "error: not expected: " + text, 97
}

func rpmOSTree(h *Host, args []string) (string, int) {
	switch line := strings.Join(args, " "); {
	case line == "status --json":
		return h.rpmStatus(), 0
	case line == "status" && h.Busy != "":
		return "State: busy\nTransaction: upgrade \n  Initiator: client(id:cli dbus:1.30 unit:session-2.scope uid:0)\n", 0
	case line == "upgrade --check":
		if h.Newest[h.head().Follows] == h.head().Version {
			return "No updates available.\n", 77
		}
		return "AvailableUpdate:\n        Version: " + h.Newest[h.head().Follows] + "\n", 0
	case args[0] == "upgrade":
		return h.rpmUpgrade(args[1:])
	case args[0] == "rebase" && len(args) == 2:
		if _, ok := h.Newest[args[1]]; !ok {
			return "error: Invalid refspec " + args[1] + "\n", 1
		}
		d := *h.head()
		d.Follows, d.Version = args[1], h.Newest[args[1]]
		h.stage(d)
		return "Staging deployment...done\n", 0
	case line == "rollback":
		return h.rpmRollback()
	case line == "cleanup -p":
		at := slices.IndexFunc(h.Deployments, func(d Deployment) bool { return d.ID() == h.Booted })
		h.Deployments = h.Deployments[at:]
		h.Writes++
		return "Transaction complete\n", 0
	case line == "cleanup -b -m", line == "cleanup -m":
		return "", 0
	case line == "usroverlay":
		h.Running().Unlocked = true
		return "", 0
	case line == "kargs":
		return strings.Join(h.head().Kargs, " ") + " ostree=/ostree/boot.1/x\n", 0
	case args[0] == "kargs":
		return h.rpmKargs(args[1:])
	case args[0] == "install" || args[0] == "uninstall":
		return h.rpmPackages(args)
	case line == "cancel":
		h.Busy = ""
		return "", 0
	case args[0] == "db":
		return "", 0
	}
	return unexpected(h, "rpm-ostree", args)
}

func (h *Host) rpmUpgrade(args []string) (string, int) {
	d := *h.head()
	if h.Newest[d.Follows] == d.Version {
		if slices.Contains(args, "--unchanged-exit-77") {
			return "No upgrade available.\n", 77
		}
		return "No upgrade available.\n", 0
	}
	if slices.Contains(args, "--download-only") {
		if h.Fetched[d.Follows] == h.Newest[d.Follows] {
			return "No upgrade available.\n", 77
		}
		h.Fetched[d.Follows] = h.Newest[d.Follows]
		return "Update downloaded.\n", 0
	}
	d.Version = h.Newest[d.Follows]
	h.stage(d)
	h.Deployments[0].Locked = slices.Contains(args, "--lock-finalization")
	return "Staging deployment...done\n", 0
}

// rpmRollback: the first after the running one becomes the first; where there is
// none, the running one, if another one waits.
func (h *Host) rpmRollback() (string, int) {
	if h.Deployments[0].Staged {
		return "error: Staged deployment (remove with cleanup -p)\n", 1
	}
	at := slices.IndexFunc(h.Deployments, func(d Deployment) bool { return d.ID() == h.Booted })
	to := at + 1
	if to >= len(h.Deployments) {
		if to = at; at == 0 {
			return "error: No rollback deployment found\n", 1
		}
	}
	h.first(to)
	return "Moving to be first deployment\n", 0
}

// first makes the deployment of that index the first one, and keeps all.
func (h *Host) first(i int) {
	d := h.Deployments[i]
	h.Deployments = append([]Deployment{d}, slices.Delete(slices.Clone(h.Deployments), i, i+1)...)
	h.Writes++
}

func (h *Host) rpmKargs(args []string) (string, int) {
	d := *h.head()
	kargs := slices.Clone(d.Kargs)
	for _, a := range args {
		if k, ok := strings.CutPrefix(a, "--append-if-missing="); ok && !slices.Contains(kargs, k) {
			kargs = append(kargs, k)
		}
		if k, ok := strings.CutPrefix(a, "--delete-if-present="); ok {
			kargs = slices.DeleteFunc(kargs, func(o string) bool { return o == k })
		}
	}
	if slices.Equal(kargs, d.Kargs) {
		return "No changes.\n", 77
	}
	locked := d.Locked
	d.Kargs = kargs
	h.stage(d)
	h.Deployments[0].Locked = locked
	return "Staging deployment...done\n", 0
}

func (h *Host) rpmPackages(args []string) (string, int) {
	d := *h.head()
	layered := slices.Clone(d.Layered)
	for _, name := range args[1:] {
		switch {
		case strings.HasPrefix(name, "-"):
		case name == "nosuch":
			return "error: Packages not found: nosuch\n", 1
		case args[0] == "install" && !slices.Contains(layered, name):
			layered = append(layered, name)
		case args[0] == "uninstall":
			layered = slices.DeleteFunc(layered, func(o string) bool { return o == name })
		}
	}
	d.Layered = layered
	h.stage(d)
	return "Staging deployment...done\n", 0
}

func (h *Host) rpmStatus() string {
	type object = map[string]any
	var list []object
	for _, d := range h.Deployments {
		o := object{
			"id": d.ID(), "osname": d.Root, "checksum": d.Checksum(), "version": d.Version, "timestamp": 1796077323 + int64(d.Serial),
			"booted": d.ID() == h.Booted, "staged": d.Staged, "pinned": d.Pinned, "unlocked": "none", "requested-packages": d.Layered, "packages": d.Layered,
			"requested-local-packages": []string{}, "base-remote-replacements": object{}, "serial": d.Serial, "gpg-enabled": true,
		}
		if len(d.Layered) > 0 {
			o["base-checksum"] = Commit(d.Version)
		}
		if d.Unlocked {
			o["unlocked"] = "development"
		}
		if strings.HasPrefix(d.Follows, "ostree-") {
			o["container-image-reference"], o["container-image-reference-digest"] = d.Follows, Digest(d.Version)
		} else {
			o["origin"] = d.Follows
		}
		list = append(list, o)
	}
	doc := object{"deployments": list, "transaction": nil, "cached-update": nil, "update-driver": nil}
	if h.Agent != "" {
		doc["update-driver"] = object{"driver-name": "the agent", "driver-sd-unit": h.Agent}
	}
	if h.Busy != "" {
		doc["transaction"] = []string{h.Busy, ":1.30", "/"}
	}
	data, _ := json.MarshalIndent(doc, "", "  ") // plain data
	return string(data)
}

func systemctl(h *Host, args []string) (string, int) {
	switch {
	case args[0] == "is-active" && args[1] == h.Agent:
		return "active\n", 0
	case args[0] == "is-active", args[0] == "is-failed":
		return "inactive\n", 0
	case args[0] == "show":
		state := "active"
		if h.Finalizer != "" {
			state = h.Finalizer
		}
		return "LoadState=loaded\nActiveState=" + state + "\n", 0
	}
	h.Asked = append(h.Asked, strings.Join(args, " "))
	return "", 0
}

func ostree(h *Host, args []string) (string, int) {
	args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "--sysroot=") })
	line := strings.Join(args, " ")
	switch {
	case strings.HasPrefix(line, "admin upgrade "), strings.HasPrefix(line, "admin switch "):
		return h.plainUpgrade(args[1], args[2:])
	case strings.HasPrefix(line, "admin deploy "):
		return h.plainDeploy(args[2:])
	case line == "admin cleanup", strings.HasPrefix(line, "admin config-diff"):
		return "", 0
	case strings.Contains(line, " remote list"):
		return "lab\n", 0
	case strings.Contains(line, " diff "):
		return "", 0
	case line == "admin --help":
		return "  pin\n  undeploy\n  set-default   Make a deployment the default\n  lock-finalization\n  prepare-soft-reboot\n", 0
	case line == "admin unlock":
		h.Running().Unlocked = true
		return "", 0
	case line == "admin prepare-soft-reboot 0":
		h.Soft = true
		return "", 0
	case strings.HasPrefix(line, "admin pin "), strings.HasPrefix(line, "admin undeploy "), strings.HasPrefix(line, "admin set-default "):
		n, err := strconv.Atoi(args[len(args)-1])
		if err != nil || n < 0 || n >= len(h.Deployments) {
			return "error: Out of range deployment index " + args[len(args)-1] + "\n", 1
		}
		return h.admin(args[1], n, slices.Contains(args, "-u"))
	case line == "admin lock-finalization --unlock":
		h.Deployments[0].Locked = false
		return "", 0
	case strings.HasPrefix(line, "admin status"):
		return h.adminStatus(), 0
	case len(args) == 3 && args[1] == "rev-parse" && strings.HasSuffix(args[0], h.root+"/ostree/repo"):
		if v := h.Fetched[args[2]]; v != "" {
			return Commit(v) + "\n", 0
		}
		return Commit(h.Running().Version) + "\n", 0
	case len(args) == 3 && args[1] == "rev-parse": // in the repository of a check
		return Commit(h.Newest[args[2]]) + "\n", 0
	case strings.HasPrefix(line, "--repo=") && slices.Contains([]string{"init", "config", "pull"}, args[1]):
		return "", 0
	case strings.HasPrefix(line, "show --print-metadata-key="):
		return "error: No such metadata key\n", 1
	}
	return unexpected(h, "ostree", args)
}

// plainUpgrade is `ostree admin upgrade` and `switch`, with the words of 2026.5. It
// follows the running system's origin, whatever is staged.
func (h *Host) plainUpgrade(verb string, args []string) (string, int) {
	d := *h.Running()
	if verb == "switch" {
		d.Follows = args[len(args)-1]
	}
	newest, ok := h.Newest[d.Follows]
	switch {
	case !ok:
		return "error: No such branch '" + d.Follows + "' in repository summary\n", 1
	case verb == "upgrade" && (newest == d.Version || newest == h.Deployments[0].Version && h.Deployments[0].Follows == d.Follows):
		return "No update available.\n", 0
	case slices.Contains(args, "--pull-only"):
		h.Fetched[d.Follows] = newest
		return "", 0
	}
	d.Version = newest
	h.stage(d)
	return "", 0
}

// plainDeploy is `ostree admin deploy` of a commit that is here, with its own origin and
// all its kernel arguments.
func (h *Host) plainDeploy(args []string) (string, int) {
	at := slices.IndexFunc(h.Deployments, func(d Deployment) bool { return d.Checksum() == args[len(args)-1] })
	if at < 0 || !slices.Contains(args, "--karg-none") {
		return unexpected(h, "ostree", append([]string{"admin", "deploy"}, args...))
	}
	d := h.Deployments[at]
	d.Kargs = nil
	for _, a := range args {
		if k, ok := strings.CutPrefix(a, "--karg-append="); ok {
			d.Kargs = append(d.Kargs, k)
		}
	}
	h.stage(d)
	return "", 0
}

func (h *Host) admin(verb string, n int, un bool) (string, int) {
	switch {
	case verb == "pin":
		h.Deployments[n].Pinned = !un
	case verb == "undeploy" && h.Deployments[n].ID() == h.Booted:
		return "error: Cannot undeploy currently booted deployment\n", 1
	case verb == "undeploy":
		h.Deployments = slices.Delete(h.Deployments, n, n+1)
		h.Writes++
	case h.Deployments[n].Staged || h.Deployments[0].Staged:
		return "error: Cannot change the default while a deployment is staged\n", 1
	default:
		h.first(n)
	}
	return "", 0
}

func (h *Host) adminStatus() string {
	type object = map[string]any
	var list []object
	for i, d := range h.Deployments {
		unlocked := "none"
		if d.Unlocked {
			unlocked = "development"
		}
		list = append(list, object{
			"index": i, "checksum": d.Checksum(), "stateroot": d.Root, "refspec": d.Follows, "serial": d.Serial, "booted": d.ID() == h.Booted,
			"staged": d.Staged, "pinned": d.Pinned, "finalization-locked": d.Locked, "unlocked": unlocked, "version": d.Version,
		})
	}
	data, _ := json.MarshalIndent(object{"deployments": list}, "", "  ") // plain data
	return string(data)
}
