package tell

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

const metricsFile = "tbx_host.prom"

// collectors are where packages of node_exporter have their textfile collector look.
func collectors() []string {
	return []string{"var/lib/prometheus/node-exporter", "var/lib/node_exporter/textfile_collector", "var/lib/node_exporter"}
}

// metrics writes the file for node_exporter, where there is a place for it.
func (o *Outlets) metrics(r *machine.Record, notices int) error {
	dir := o.Metrics
	for _, name := range collectors() {
		if fi, err := os.Stat(filepath.Join(o.Root, name)); dir == "" && err == nil && fi.IsDir() {
			dir = filepath.Join(o.Root, name)
		}
	}
	if dir == "" {
		return nil
	}
	path, text := filepath.Join(dir, metricsFile), Metrics(r, notices)
	if was, err := os.ReadFile(path); err == nil && string(was) == text {
		return nil
	}
	return atomicfile.WriteVolatile(path, []byte(text), 0o644)
}

// Metrics is r in the text format of Prometheus. All are gauges; times are seconds since
// 1970, 0 for never.
func Metrics(r *machine.Record, notices int) string {
	var b strings.Builder
	metric := func(name, help string, lines ...string) {
		fmt.Fprintf(&b, "# HELP tbx_host_%s %s\n# TYPE tbx_host_%s gauge\n", name, help, name)
		for _, line := range lines {
			fmt.Fprintf(&b, "tbx_host_%s%s\n", name, line)
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return " 0"
		}
		return fmt.Sprintf(" %d", t.Unix())
	}
	states := make([]string, 0, len(machine.States()))
	for _, s := range machine.States() {
		states = append(states, fmt.Sprintf("{state=%q} %d", string(s), one(s == r.State)))
	}
	metric("auto_state", "Whether automatic updates are in this state.", states...)
	metric("running_info", "The release that runs.", info(r.Running))
	if r.Target.Known() && !r.Target.Is(r.Running) {
		metric("target_info", "The release that the host is on its way to.", info(r.Target))
	}
	metric("state_since_seconds", "Since when it is in that state.", at(r.Since))
	metric("last_check_seconds", "The last answer of the source.", at(r.Checked))
	metric("last_new_seconds", "When something new was last found.", at(r.Newest))
	metric("blocked", "Whether conditions keep an update from being fetched.", fmt.Sprintf(" %d", one(r.Blocked != nil)))
	if t := r.Trouble; t != nil {
		metric("trouble", "How often in a row the last error has come.", fmt.Sprintf("{kind=\"%s\"} %d", label(t.Kind), t.Count))
	}
	metric("denied_releases", "How many releases this host does not take.", fmt.Sprintf(" %d", len(r.Denied)))
	metric("restarts", "Restarts by tbx in the last 180 days.", fmt.Sprintf(" %d", len(r.Restarts)))
	if s := r.Slot; s != nil {
		metric("slot", "Whether this host holds a slot of the fleet's lock, or keeps it after a failure.",
			fmt.Sprintf("{is=\"held\"} %d", one(s.Held)), fmt.Sprintf("{is=\"kept\"} %d", one(s.Kept != "")))
	}
	metric("notices", "How many things a person should know of.", fmt.Sprintf(" %d", notices))
	return b.String()
}

func info(r machine.Release) string {
	id := r.Content
	if r.Digest != "" {
		id = r.Digest
	}
	return fmt.Sprintf("{version=\"%s\",id=\"%s\"} 1", label(r.Version), label(id))
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// label is a value as the format wants it.
func label(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(text, "?"))
}
