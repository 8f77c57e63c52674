package toolbox

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// idRange is one line of a map of ids, as podman writes it: INSIDE:OUTSIDE:LENGTH.
type idRange struct{ inside, outside, length int64 }

func idRanges(lines []string) []idRange {
	var out []idRange
	for _, line := range lines {
		var n [3]int64
		f := strings.Split(line, ":")
		for i := range min(len(f), len(n)) {
			n[i], _ = strconv.ParseInt(f[i], 10, 64)
		}
		out = append(out, idRange{n[0], n[1], n[2]})
	}
	return out
}

// sameIDs reports whether two maps of ids agree in their common range. They may differ in
// their last id only. Then a copy may keep the owners.
func sameIDs(a, b []string) bool {
	if slices.Equal(a, b) {
		return true
	}
	x, y := idRanges(a), idRanges(b)
	if len(x) != len(y) || len(x) == 0 {
		return false
	}
	for i := range x {
		if x[i].inside != y[i].inside || x[i].outside != y[i].outside || i < len(x)-1 && x[i].length != y[i].length {
			return false
		}
	}
	return true
}

// startedBy reports whether a process is a descendant of pid first. Sessions are not:
// they are children of podman's monitor.
func startedBy(pid, first int) bool {
	for range 64 {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return false
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		f := strings.Fields(rest)
		if len(f) < 2 {
			return false
		}
		parent, err := strconv.Atoi(f[1])
		switch {
		case err != nil || parent <= 1:
			return false
		case parent == first:
			return true
		}
		pid = parent
	}
	return false
}

// exported returns the files of the host by which distrobox calls a toolbox: programs and
// menu entries.
func exported(h *Host, b *Box) []string {
	if b.Maker() == Toolbx {
		return nil
	}
	var out []string
	programs, _ := filepath.Glob(filepath.Join(h.Home, ".local/bin/*"))
	for _, p := range programs {
		const most = 16 << 10
		if fi, err := os.Stat(p); err != nil || !fi.Mode().IsRegular() || fi.Size() > most {
			continue
		}
		data, err := os.ReadFile(p)
		if text := string(data); err == nil && strings.Contains(text, "distrobox_binary") &&
			strings.Contains(text, "# name: "+string(b.Name)+"\n") {
			out = append(out, p)
		}
	}
	entries, _ := filepath.Glob(filepath.Join(h.Home, ".local/share/applications", string(b.Name)+"*.desktop"))
	for _, p := range entries {
		data, err := os.ReadFile(p)
		if err == nil && strings.Contains(string(data), "distrobox") && strings.Contains(string(data), string(b.Name)) {
			out = append(out, p)
		}
	}
	return out
}
