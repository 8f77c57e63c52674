package toolbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Process is one that runs in a toolbox beside its first.
type Process struct {
	PID     int
	Command string // as it was called, cut; from inside, so to be escaped
}

// inUse lists what runs in a toolbox beside its first process: sessions, and what
// they left.
func (m *Manager) inUse(b *Box) []Process {
	if !b.runs() {
		return nil
	}
	pids, _ := m.beside(b)
	var out []Process
	for _, pid := range pids {
		out = append(out, Process{pid, commandOf(pid)})
	}
	return out
}

// beside are the processes of a running toolbox beside its first, and whether they can be
// known.
func (m *Manager) beside(b *Box) (pids []int, known bool) {
	s, err := m.state(b)
	if err != nil {
		return nil, false
	}
	held := s.Hold(b.PID)
	defer held.Close()
	return held.Others(b.PID)
}

// commandOf is a process's command line, or its name where it has none.
func commandOf(pid int) string {
	const most = 60
	dir := "/proc/" + strconv.Itoa(pid)
	data, _ := os.ReadFile(dir + "/cmdline")
	text := string(bytes.TrimSpace(bytes.ReplaceAll(data, []byte{0}, []byte{' '})))
	if text == "" {
		data, _ = os.ReadFile(dir + "/comm")
		text = strings.TrimSpace(string(data))
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// inUseError refuses what would end the sessions in a toolbox.
func inUseError(name Name, running []Process) *fail.Error {
	const most = 8
	var list []string
	for i, p := range running {
		if i == most {
			list = append(list, fmt.Sprintf("and %d more", len(running)-most))
			break
		}
		list = append(list, fmt.Sprintf("%s (process %d)", escape.Text(p.Command), p.PID))
	}
	return fail.New(nil, "toolbox %s is in use: %s", name, strings.Join(list, ", "))
}
